"""axe-core looks for what people with disabilities cannot use."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import axe_playwright_python
from playwright.sync_api import Page, expect

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
ASK_AXE = """async ([selector, rules]) => {
    const ends = () => document.getAnimations()
        .filter(each => each.playState === "running" && each.effect.getTiming().iterations !== Infinity);
    await new Promise(requestAnimationFrame);
    // What fades is pale for a moment; a fade that another one replaces ends at once, and a bar moves every second.
    for (let turn = 0, left; turn < 4 && (left = ends()).length; turn += 1)
        await Promise.allSettled(left.map(each => each.finished));
    const options = rules.length ? {runOnly: rules} : {};
    return (await axe.run(selector || document, {resultTypes: ["violations"], ...options})).violations
    .filter(found => ["serious", "critical"].includes(found.impact))
    .flatMap(found => found.nodes.map(node => [found.id, node.target.join(" "), node.failureSummary].join(" | ")));
}"""
GROUNDS: dict[Literal["light", "dark"], str] = {"light": "rgb(246, 247, 245)", "dark": "rgb(16, 20, 19)"}
RULES_OF_COLOR = ["color-contrast", "link-in-text-block"]


def expect_no_findings(page: Page, selector: str = "") -> None:
    """axe-core finds nothing serious or critical in what the page shows now, light and dark. No rule is left out.

    Dark, only the rules that look at colors are checked again: nothing else differs.

    Args:
        selector: of the part to look at, such as a dialog that hides the rest; all of the page without one.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    for scheme, ground in GROUNDS.items():
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("body")).to_have_css("background-color", ground)
        assert page.evaluate(ASK_AXE, [selector, RULES_OF_COLOR if scheme == "dark" else []]) == []
