"""Paints the PNG icons of the installed app and the image of link previews, from the logo, with a headless Chromium.

python assets/make_icons.py
"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser

from tests.support.chromium import chromium

ASSETS = Path(__file__).parent
LOGO = (ASSETS / "logo.svg").read_text(encoding="utf-8")
GREEN = "#127266"
ICON_SIZES = (180, 192, 512)
MASKABLE = f'<body style="margin:0;background:{GREEN};display:grid;place-items:center;height:512px">'
PREVIEW = f"""<body style="margin:0;width:1200px;height:630px;background:#f6f7f5;display:grid;
grid-template-columns:430px 1fr;
align-items:center;font-family:sans-serif;color:#191f1d"><div style="padding-left:90px;width:300px">{LOGO}</div>
<div style="padding-left:60px"><h1 style="font-size:92px;margin:0;letter-spacing:-2px">Dreamina UI</h1>
<p style="font-size:38px;margin:18px 0 0;color:#535e59">Dreamina 4.0 on RunComfy</p></div></body>"""


def main() -> None:
    """Write all icons to `assets/icons`."""
    folder = ASSETS / "icons"
    folder.mkdir(exist_ok=True)
    with chromium() as browser:
        for size in ICON_SIZES:
            _paint(browser, f'<body style="margin:0;width:{size}px">{LOGO}</body>', folder / f"{size}.png", size, size)
        inner = f'<div style="width:360px">{LOGO}</div></body>'
        _paint(browser, MASKABLE + inner, folder / "maskable.png", 512, 512)
        _paint(browser, PREVIEW, folder / "preview.png", 1200, 630)


def _paint(browser: Browser, page_html: str, path: Path, width: int, height: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_content(page_html)
    page.screenshot(path=path, omit_background=True)
    page.close()


if __name__ == "__main__":
    main()
