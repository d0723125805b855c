"""Write the page around the charts of `dvc plots show` and `dvc plots diff`: `python tools/plots_page.py`.

DVC's own page loads Vega from the network. This one holds it, from vl-convert, so that the charts are drawn
offline. `.dvc/config.local`, which is not committed, names it: without it DVC's own page does. `make` writes
both when it sets up.
"""

import subprocess
import sys
from pathlib import Path

from vl_convert import javascript_bundle

from eos.storage.files import write_text

FOLDER, NAME = Path(".dvc"), "plots_page.html"
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Plots</title>
<style>body { font-family: sans-serif; margin: 1.5rem; }</style>
<script>(() => {
BUNDLE
})();</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def page() -> str:
    """Return the page; DVC puts the charts where it says `{plot_divs}`."""
    return _PAGE.replace("BUNDLE", javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def main() -> None:
    """Write the page, and tell DVC of it."""
    write_text(FOLDER / NAME, page())
    command = [sys.executable, "-m", "dvc", "config", "--local", "plots.html_template", NAME]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
