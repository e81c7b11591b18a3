/* Types that the modules share; nothing runs here. What the server sends is described in web/presenters.py. */

/**
 * A field of a model's form.
 * @typedef {object} Field
 * @property {string} id of its component in the page
 * @property {string} key in the schema
 * @property {string} parameter its name for programs, links and examples
 * @property {"string" | "number" | "integer" | "boolean" | "array" | "any"} value_type
 * @property {"value" | "lines" | "json"} typed_as what its component holds
 * @property {boolean} can_vary
 * @property {boolean} in_link
 * @property {boolean} is_text
 * @property {boolean} holds_urls
 * @property {any[]} choices
 * @property {string[]} labels one for each choice
 * @property {string | null} pattern
 * @property {number | null} max_length in code points
 * @property {number | null} minimum
 * @property {number | null} maximum
 * @property {string | null} file_kind
 * @property {number | null} max_items of a list of URLs
 * @property {string} [title] this and what follows: only of models of the catalog, whose form is not Gradio's
 * @property {string} [help]
 * @property {boolean} [required]
 * @property {string} [component]
 * @property {Record<string, any>} [arguments] of the component
 * @property {number | null} [min_items]
 */

/** @typedef {{model_id: string, title: string, fields: Field[], description?: string}} Model */
/** @typedef {{model_id: string, file: string, parameters: Record<string, any>}} Example */

/**
 * @typedef {object} Facts
 * @property {string} installation
 * @property {number} undo_s how long deleted files can be restored
 * @property {boolean} uses_sandbox
 * @property {boolean} keeps_data
 * @property {boolean} has_account whether there is a page to sign in and out
 * @property {Model[]} models
 * @property {Example[]} examples
 * @property {Record<string, {name: string, words: string}>} languages
 * @property {Record<string, string[]>} parts modules of parts that are loaded when they are first opened
 */

/**
 * One output of a job; those with the state `kept` have files, as URLs below `dreamina/`.
 * @typedef {object} Output
 * @property {number} index
 * @property {"image" | "video" | "file"} kind
 * @property {string} state
 * @property {string} file_key
 * @property {boolean} favourite
 * @property {number} rating 1 to 5, or 0
 * @property {string | null} sha256
 * @property {string} alt
 * @property {string} facts
 * @property {string} [original]
 * @property {string} [large] 2560 px
 * @property {string} [preview] 1280 px
 * @property {string} [thumbnail] 400 px
 * @property {string} [early_preview] `data:` URL of what has arrived of a pending one
 * @property {string} [with_settings]
 * @property {number} [width]
 * @property {number} [height]
 * @property {number} [size_bytes]
 */

/**
 * @typedef {object} Job
 * @property {string} job_id
 * @property {number} version
 * @property {string} state
 * @property {boolean} active
 * @property {number} created_at s since 1970
 * @property {string} prompt
 * @property {string} model_id
 * @property {string} model
 * @property {Record<string, any>} parameters
 * @property {string} settings
 * @property {string[]} given
 * @property {string} state_text
 * @property {string} message
 * @property {string} action
 * @property {string} detail
 * @property {string} [refusal] why the server did not do what was asked for last; only in the browser
 * @property {number} elapsed_s
 * @property {number | null} run_s
 * @property {number | null} expected_s
 * @property {{files: number, width: number | null, height: number | null}} [expected]
 * @property {number} retry_in_s until the service takes it again
 * @property {boolean} can_cancel
 * @property {boolean} cancelling
 * @property {boolean} can_fetch_again
 * @property {string | null} request_id
 * @property {number | null} cost_usd
 * @property {boolean} cost_is_unknown
 * @property {boolean} is_play
 * @property {boolean} own_key
 * @property {boolean} put_aside archived
 * @property {boolean} can_archive
 * @property {boolean} is_unclear
 * @property {Output[]} outputs
 * @property {number} [finished_at]
 */

/**
 * A stored file as the stage, the feed, the library and the viewer show it; URLs are absolute.
 * @typedef {object} ImageItem
 * @property {string} id `${job_id}/${index}`
 * @property {string} job_id
 * @property {number} index
 * @property {string} file_key
 * @property {"image" | "video" | "file"} kind
 * @property {number} width of the original
 * @property {number} height
 * @property {string} original
 * @property {string | null} screen 2560 px
 * @property {string} preview 1280 px
 * @property {string} thumbnail 400 px
 * @property {string} download
 * @property {string | null} download_with_settings
 * @property {string} alt
 * @property {string} facts
 * @property {boolean} is_favorite
 * @property {number} rating 1 to 5, or 0
 * @property {boolean} [is_deleted] whether it is in the trash
 * @property {Job | null} job null until somebody has loaded it
 */

/**
 * @typedef {EventTarget & {
 *   readonly length: number,
 *   at(index: number): ImageItem | undefined,
 *   indexOf(id: string): number,
 *   more?: () => Promise<void>,
 *   inColumn?: (index: number, direction: 1 | -1) => number | null,
 * }} ImageSource
 */

/**
 * What a POST led to: an `answer`, or a `refusal` for the visitor.
 * @typedef {object} Outcome
 * @property {any} [answer]
 * @property {string} [refusal]
 * @property {string} [action] what helps, as the server names it
 * @property {Record<string, any>} [facts]
 * @property {string} [kind] of error
 * @property {number} [retryAfterS] how long waiting helps
 * @property {number} [status]
 */

/**
 * @typedef {object} Quota
 * @property {number | null} jobs_today
 * @property {number} renewed_at
 * @property {string} stopped why no job is taken; "" if jobs are taken
 * @property {boolean} [can_generate]
 * @property {boolean} is_owner
 * @property {boolean} [more_models] whether there is more to choose than the page's forms
 * @property {string[]} [more_inputs] the model_ids of those forms whose model has more inputs at the service
 * @property {Record<string, string>} [owner_words] for the owner: the name of the tab, and of its key
 * @property {string} [requester] a hash of the visitor or the login
 * @property {string} [identity]
 */

export {};
