/* The admin page: activity, spending and controls. */

import { define } from "../core/dom.js";
import { Admin } from "./admin.js";

define("dreamina-admin", Admin);
document.body.append(document.createElement("dreamina-admin"));
