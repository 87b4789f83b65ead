"""What does somebody see who follows a link, or whose page cannot be shown? One plain page that needs no script."""

import html
from collections.abc import Sequence
from typing import Final, NamedTuple

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address is the key
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
}

# The colours are those of board.css, which the API does not serve by itself.
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · pumpwatch</title>
<style>
:root {{ color-scheme: light dark; --ground: #fff; --raised: #f4f6f8; --text: #14181c; --faint: #4d5761;
  --line: #c9d0d6; --link: #0b5394; --medium: #7a5200; --medium-ground: #fdf4e1; --action: #0b5394; --on-action: #fff }}
@media (prefers-color-scheme: dark) {{ :root {{ --ground: #101418; --raised: #1b2127; --text: #eef2f5; --faint: #aab4bd;
  --line: #3a444d; --link: #8cc4ff; --medium: #ffc04d; --medium-ground: #33270d; --action: #8cc4ff;
  --on-action: #101418 }} }}
body {{ font: 1.125rem/1.5 system-ui, sans-serif; color: var(--text); background: var(--ground); margin: 0 }}
.simulation {{ background: var(--medium-ground); color: var(--medium); font: 600 1rem/1.5 system-ui, sans-serif;
  text-align: center; padding: .15rem .5rem; margin: 0 }}
header {{ padding: .75rem 1rem; border-bottom: 1px solid var(--line); background: var(--raised); font-weight: 700 }}
main {{ max-width: 40rem; margin: 0 auto; padding: 1.5rem 1rem }}
h1 {{ font-size: 1.75rem; line-height: 1.2; margin: 0 0 1rem; text-wrap: balance }}
p {{ margin: 0 0 1rem; overflow-wrap: anywhere }}
button, .way {{ display: inline-block; font: inherit; font-weight: 600; color: var(--on-action);
  background: var(--action); border: 0; border-radius: .3rem; padding: .75rem 1.5rem; min-height: 1.5rem;
  text-decoration: none }}
:focus-visible {{ outline: 3px solid var(--link); outline-offset: 3px }}
.detail {{ color: var(--faint); font-size: 1rem; margin: 1.5rem 0 0 }}
</style>
</head>
<body>
<p class="simulation">Simulation, not for clinical use</p>
<header>pumpwatch</header>
<main>
<h1>{title}</h1>
{paragraphs}
{form}{way}{detail}
</main>
</body>
</html>
"""
_FORM: Final = '<form method="post"><button type="submit">{label}</button></form>'
_WAY: Final = '<a class="way" href="{to}">{label}</a>'


class Way(NamedTuple):
    """Where somebody goes on from a page; to nowhere: to the same page again."""

    label: str
    to: str


def page(title: str, paragraphs: Sequence[str], button: str = "", *, way: Way | None = None, detail: str = "") -> str:
    """Everything is escaped. With a `button` the page posts to its own address."""
    return _PAGE.format(
        title=html.escape(title),
        paragraphs="\n".join(f"<p>{html.escape(each)}</p>" for each in paragraphs),
        form=_FORM.format(label=html.escape(button)) if button else "",
        way=_WAY.format(to=html.escape(way.to), label=html.escape(way.label)) if way else "",
        detail=f'<p class="detail">{html.escape(detail)}</p>' if detail else "",
    )
