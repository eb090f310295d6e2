"""What is broken in the built site: ``python docs/check_site.py html`` lists it, and fails if there is anything.

Links inside the site must lead to a page, and to a place in it that exists. What a page loads must lie in the site, so that
it works without a network.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser loads by itself, and does not only lead to.
LOADED = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src"}


class Page(HTMLParser):
    """The links, the loaded files and the named places of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.places = {"", "top"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.places |= {name for key in ("id", "name") if (name := found.get(key))}
        if tag == "a" and (link := found.get("href")):
            self.links.append(link)
        if tag in LOADED and (file := found.get(LOADED[tag])) and found.get("rel") not in ("canonical", "next", "prev"):
            self.loaded.append(file)


def broken(site: Path) -> list[str]:
    """Each broken link of a site, with the page that has it."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.relative_to(site).parts}
    found = []
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                fault = "is loaded from elsewhere" if link in page.loaded and parts.scheme != "data" else ""
            else:
                target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
                places = pages[target].places if target in pages else None
                fault = "" if target.is_file() else "has no file"
                if places is not None and unquote(parts.fragment) not in places:
                    fault = "has no such place"
            if fault:
                found.append(f"{path.relative_to(site)}: {link} {fault}")
    return found


def main(site: str) -> None:
    found = broken(Path(site).resolve())
    print("\n".join(found) or "All links lead somewhere, and nothing is loaded from elsewhere.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main(sys.argv[1])
