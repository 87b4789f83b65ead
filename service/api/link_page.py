"""What does somebody see who follows an acknowledgement link? One plain page that works without scripts."""

import html
from collections.abc import Sequence
from typing import Final

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address is the key
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
}

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · pumpwatch</title>
<style>
body {{ font: 1.125rem/1.5 system-ui, sans-serif; color: #111; background: #fff; margin: 2rem auto; padding: 0 1rem;
  max-width: 40rem }}
button {{ font: inherit; font-weight: 600; color: #fff; background: #0b5394; border: 2px solid #0b5394;
  border-radius: .4rem; padding: .75rem 1.5rem; min-height: 3rem }}
button:focus-visible {{ outline: 3px solid #111; outline-offset: 3px }}
footer {{ margin-top: 3rem; color: #444; font-size: 1rem }}
@media (prefers-color-scheme: dark) {{ body {{ color: #f2f2f2; background: #111 }} footer {{ color: #ccc }}
  button:focus-visible {{ outline-color: #fff }} }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{paragraphs}
{form}
</main>
<footer>pumpwatch. Simulation, not for clinical use.</footer>
</body>
</html>
"""
_FORM: Final = '<form method="post"><button type="submit">{label}</button></form>'


def page(title: str, paragraphs: Sequence[str], button: str = "") -> str:
    """Everything is escaped. With a `button` the page posts to its own address."""
    return _PAGE.format(
        title=html.escape(title),
        paragraphs="\n".join(f"<p>{html.escape(each)}</p>" for each in paragraphs),
        form=_FORM.format(label=html.escape(button)) if button else "",
    )
