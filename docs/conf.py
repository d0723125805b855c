"""The site of the documentation: `make docs`.

Its source is the whole repository, so that a link or a picture has one form on GitHub and in the site. Its
pages are the Markdown files in the root, in docs/ and in metrics/tables/.
"""

import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

project = "EOS"
copyright = "The EOS contributors"

root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "docs/*.rst", "metrics/tables/*.md"]
exclude_patterns = [".*", "build", "data", "models", "src", "tests"]  # folders that need no walk
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "numpydoc", "sphinxcontrib.mermaid"]

myst_fence_as_directive = ["mermaid"]  # as GitHub writes it
myst_heading_anchors = 3  # GitHub makes them for every heading
myst_enable_extensions = ["alert"]  # GitHub's > [!WARNING]

autodoc_typehints = "none"  # a docstring says them in words
autodoc_member_order = "bysource"
# scikit-learn makes these, and their docstrings link to its own pages.
made = ["fit", "predict_proba", "score", "transform", "partial_fit", "predict"]
autodoc_default_options = {"exclude-members": ", ".join(f"set_{name}_request" for name in made)}
default_role = "py:obj"  # single backticks: a link where there is such a name, else code
numpydoc_show_class_members = False

html_theme = "furo"
pygments_dark_style = "github-dark"  # furo's own underlines imports, as if they were links
html_title = "EOS: Expansive Over-Sampling"
html_copy_source = False

# What GitHub's folders do for a reader of the repository.
NAVIGATION = {
    "README": """
```{toctree}
:hidden:
:caption: Use it

docs/experiments
docs/pictures
docs/own-embeddings
docs/sampler
docs/api
```

```{toctree}
:hidden:
:caption: Walks

docs/walks/pictures
docs/walks/foundation
docs/walks/embeddings
```

```{toctree}
:hidden:
:caption: Results

docs/verdict
docs/report
docs/results/README
```

```{toctree}
:hidden:
:caption: Run it

docs/gpu
docs/cluster
docs/slurm
docs/kubernetes
docs/performance
docs/portability
docs/reliability
```

```{toctree}
:hidden:
:caption: Understand and change it

docs/architecture
docs/choices
docs/choices-methods
docs/extending
CONTRIBUTING
CHANGELOG
```
""",
    "docs/verdict": """
```{toctree}
:hidden:
:glob:

/metrics/tables/*
```
""",
    "docs/results/README": """
```{toctree}
:hidden:
:glob:

*/README
mutants
```
""",
}


def add_navigation(_app: Sphinx, page: str, source: list[str]) -> None:
    """Tell where a page stands; the tables of a run are reached from its page alone."""
    source[0] += NAVIGATION.get(page, "")
    if page.startswith("docs/results/") and page.count("/") > 2 and not page.endswith("README"):
        source[0] = f"---\norphan: true\n---\n{source[0]}"


def escape_trailing_underscores(  # which are links in reStructuredText
    _app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Keep `n_features_in_` in the type of an attribute as it is."""
    lines[:] = [line.replace("(n_features_in_,)", r"(n_features_in\_,)") for line in lines]


def add_index(app: Sphinx, error: Exception | None) -> None:
    """Lead from the site's folder to its first page."""
    if error is None:
        page = '<!doctype html><meta http-equiv="refresh" content="0; url=README.html">'
        (Path(app.outdir) / "index.html").write_text(page)


def setup(app: Sphinx) -> None:
    """Connect the above."""
    app.connect("source-read", add_navigation)
    app.connect("autodoc-process-docstring", escape_trailing_underscores, priority=400)  # before numpydoc
    app.connect("build-finished", add_index)
