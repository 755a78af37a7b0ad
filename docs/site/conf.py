"""Sphinx: one build for each language; ``build.py`` sets ``AIGC_KIT_DOCS_LANGUAGE``."""

from __future__ import annotations

import os
import re
from typing import Any

from sphinx.search import SearchLanguage, languages

import aigc_kit

LANGUAGE = os.environ.get("AIGC_KIT_DOCS_LANGUAGE", "en")
project, author = "aigc-kit", "the aigc-kit maintainers"
version = release = aigc_kit.__version__
language = "zh_CN" if LANGUAGE == "zh" else "en"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
highlight_language = "python"
# Terminal captures and code fragments are not a language that Pygments can check.
suppress_warnings = ["misc.highlighting_failure"]

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": True}
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
# What is not of this package is not looked up: nothing is downloaded. What is of this package and
# has no entry in the reference is its own affair.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!aigc_kit\b).*"),
    (
        r"py:.*",
        r"aigc_kit\.(chat|image|embedding|media|storage|transport|client|prices|sandbox)\..*",
    ),
    (r"py:.*", r"aigc_kit\.(settings|tracing|log|batch\.seen)\..*"),
]

html_theme = "furo"
html_title = f"aigc-kit {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = html_show_copyright = False
html_copy_source = False
html_theme_options = {
    "source_repository": "",
    "light_css_variables": {
        "font-stack": "system-ui, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif",
        "font-stack--monospace": "ui-monospace, 'Cascadia Code', Menlo, Consolas, monospace",
    },
}
html_sidebars = {
    "**": [
        "sidebar/scroll-start.html",
        "sidebar/brand.html",
        "languages.html",
        "sidebar/search.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
templates_path = ["_templates"]
html_context = {"site_language": LANGUAGE}

_CHINESE = re.compile(r"[\u4e00-\u9fff]+")


class Pairs(SearchLanguage):
    """
    Chinese is searched by pairs of letters, the same here and in the browser.

    Sphinx's own way needs jieba, which has no wheel.
    """

    lang, language_name = "zh", "Chinese"
    js_stemmer_code = "var Stemmer = function() { this.stemWord = function(w) { return w; } }"
    js_splitter_code = r"""
function splitQuery(query) {
    const found = [];
    for (const word of query.toLowerCase().split(/[^\p{Letter}\p{Number}_]+/u)) {
        for (const part of word.match(/[\u4e00-\u9fff]+|[^\u4e00-\u9fff]+/g) || []) {
            if (!/[\u4e00-\u9fff]/.test(part) || part.length < 3) { found.push(part); continue; }
            for (let at = 0; at + 2 <= part.length; at++) found.push(part.slice(at, at + 2));
        }
    }
    return found;
}
"""
    stopwords = frozenset[str]()  # type: ignore[assignment]

    def split(self, input: str) -> list[str]:
        words = re.findall(r"\w+", _CHINESE.sub(" ", input))
        for run in _CHINESE.findall(input):
            words += [run[at : at + 2] for at in range(max(len(run) - 1, 1))]
        return words

    def word_filter(self, word: str) -> bool:
        return len(word) > 1

    def stem(self, word: str) -> str:
        return word.lower()


languages["zh"] = Pairs


def setup(app: Any) -> None:
    app.add_config_value("site_language", LANGUAGE, "html")
