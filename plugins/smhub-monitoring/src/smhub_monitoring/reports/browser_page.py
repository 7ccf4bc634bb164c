"""The page of the report on stage 1 for a browser."""

from __future__ import annotations

from html import escape
from typing import Any

STYLE = """
@page { size: A4; margin: 13mm 15mm }
* { box-sizing: border-box }
body { font: 14px/1.4 "Source Sans Pro", "Segoe UI", "Helvetica Neue", Arial, sans-serif; color: #1f2933; max-width: 940px;
  margin: 24px auto; padding: 0 16px; hyphens: auto }
header { display: flex; justify-content: space-between; align-items: end; border-bottom: 3px solid #0b6e99; padding-bottom: 8px }
h1 { font-size: 28px; margin: 0 } h2 { font-size: 15px; margin: 16px 0 4px } small, .grey { color: #5f6c7b; font-size: 12px }
header small { display: block; text-align: right }
.cards, .charts, .two { display: grid; gap: 14px; margin: 14px 0 } .cards { grid-template-columns: repeat(4, 1fr) }
.charts, .two { grid-template-columns: 1fr 1fr } .card { background: #f4f7f9; border-radius: 4px; padding: 10px 12px }
.card b { display: block; color: #0b6e99; font-size: 12px; text-transform: uppercase }
.card strong { display: block; font-size: 28px; line-height: 1.25 }
.charts svg { width: 100%; height: auto } table { width: 100%; border-collapse: collapse } th { font-weight: 400; color: #5f6c7b; font-size: 12px }
td, th { text-align: right; padding: 3px 4px; border-bottom: 1px solid #d9dfe5 } td:first-child, th:first-child { text-align: left }
ul { margin: 0; padding-left: 18px } footer { border-top: 1px solid #d9dfe5; margin-top: 14px; padding-top: 6px }
@media (max-width: 640px) { .cards, .charts, .two { grid-template-columns: 1fr } }
"""


def html(shown: dict[str, Any], drawn: dict[str, bytes]) -> bytes:
    """The page for a browser: one file, nothing is fetched from anywhere and nothing runs."""

    def listed(part: dict[str, Any]) -> str:
        return (
            f"<section><h2>{escape(part['title'])}</h2><ul>{''.join(f'<li>{escape(one)}</li>' for one in part['items'])}</ul></section>"
        )

    cards = "".join(
        f"<div class='card'><b>{escape(one['section'])}</b><span class='grey'>{escape(one['label'])}</span>"
        f"<strong>{escape(one['value'])}</strong>{escape(one['change'])}<br><small>{escape(one['note'])}</small></div>"
        for one in shown["cards"]
    )
    pictures = "".join(
        f"<figure style='margin:0'><h2>{escape(one['title'])}</h2>"
        + (drawn[one["name"]].decode() if one["name"] in drawn else f"<p class='grey'>{escape(one['empty'])}</p>")
        + "</figure>"
        for one in shown["charts"]
    )
    table = shown["table"]
    head = "".join(f"<th>{escape(one)}</th>" for one in table["head"])
    rows = "".join("<tr>" + "".join(f"<td>{escape(one)}</td>" for one in row) + "</tr>" for row in table["rows"])
    body = (
        f"<header><div><h1>{escape(shown['title'])}</h1><span class='grey'>{escape(shown['organisation'])} · {escape(shown['subtitle'])}</span></div>"
        f"<div>{''.join(f'<small>{escape(shown[one])}</small>' for one in ('before', 'after', 'made'))}</div></header>"
        f"<div class='cards'>{cards}</div><div class='charts'>{pictures}</div>"
        f"<h2>{escape(table['title'])}</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"<div class='two'>{listed(shown['examples'])}{listed(shown['topics'])}</div>"
        f"<footer><small>{escape(' '.join(shown['notes']))}</small></footer>"
    )
    language, title = escape(shown["language"]), escape(f"{shown['title']} – {shown['organisation']}")
    start = f"<!doctype html><html lang='{language}'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
    return f"{start}<title>{title}</title><style>{STYLE}</style></head><body>{body}</body></html>".encode()
