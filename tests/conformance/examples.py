"""Reads payout_api.md: each example's request, and what its response must hold."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

HOST = "https://www.allocora.com"
_SECTION = re.compile(r"^## (\S+) (\S+)\n\nGiven: (.*)\.\n\n.* Requires `(\S+)`\.\n", re.MULTILINE)
_BLOCK = re.compile(r"^```(sh|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PLACEHOLDER = re.compile(r"<([A-Z_]+)>")


@dataclass(frozen=True)
class Example:
    """One documented request and its response."""

    method: str
    path: str
    given: str
    permission: str
    command: str
    response: Any

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Sent:
    """What a curl command sends."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def documented() -> list[Example]:
    """Every example of the document."""
    text = (Path(__file__).parent / "payout_api.md").read_text()
    heads = list(_SECTION.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    found = []
    for head, end in zip(heads, ends, strict=True):
        blocks = dict(_BLOCK.findall(text[head.end() : end]))
        response = json.loads(blocks["json"], parse_float=Decimal)
        found.append(Example(head[1], head[2], head[3], head[4], blocks["sh"], response))
    return found


def read_command(command: str, names: Mapping[str, str]) -> Sent:
    """What a curl command sends once its placeholders are filled in."""
    filled = _PLACEHOLDER.sub(lambda match: names[match[1]], command)
    words = shlex.split(filled.replace("\\\n", " "))
    assert words.pop(0) == "curl"
    method, headers, body, address = "GET", {}, b"", ""
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, value = words.pop(0).split(": ", 1)
            headers[name] = value
        elif word == "-d":
            body = words.pop(0).encode()
        else:
            address = word
    return Sent(method, address.removeprefix(HOST), headers, body)


def missing(expected: Any, actual: Any, names: dict[str, str], place: str = "$") -> list[str]:
    """Where `actual` lacks what is documented; placeholders not in `names` yet are learnt."""
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            return [f"{place} is no object"]
        gone = [f"{place}.{key} is not there" for key in expected if key not in actual]
        return gone + [
            each
            for key in expected.keys() & actual.keys()
            for each in missing(expected[key], actual[key], names, f"{place}.{key}")
        ]
    if isinstance(expected, list):
        if not isinstance(actual, list):
            return [f"{place} is no list"]
        if place == "$.category_options":
            return [f"{place} lacks {each}" for each in expected if each not in actual]
        if len(actual) != len(expected):
            return [f"{place} has {len(actual)} elements"]
        pairs = enumerate(zip(expected, actual, strict=True))
        return [each for index, pair in pairs for each in missing(*pair, names, f"{place}[{index}]")]
    if isinstance(expected, str) and (placeholder := _PLACEHOLDER.fullmatch(expected)) is not None:
        known = names.setdefault(placeholder[1], actual)
        return [] if known == actual else [f"{place} is {actual!r}, not the known {known!r}"]
    same = type(actual) is type(expected) and actual == expected
    return [] if same else [f"{place} is {actual!r}, documented {expected!r}"]
