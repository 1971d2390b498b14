"""A toy language: each English word has one Chinese word, and the order stays. So a translation can be learnt."""

from __future__ import annotations

from itertools import product
from pathlib import Path

VERBS = {"open": "打开", "close": "关闭", "save": "保存", "delete": "删除", "move": "移动", "copy": "复制"}
COLOURS = {"red": "红色", "blue": "蓝色", "green": "绿色", "black": "黑色", "white": "白色"}
THINGS = {
    "page": "页面",
    "file": "文件",
    "user": "用户",
    "image": "图片",
    "table": "表格",
    "group": "群组",
    "task": "任务",
}
WORDS = VERBS | COLOURS | THINGS


def sentences() -> list[tuple[str, str]]:
    """210 of three words: `delete blue page`, `删除蓝色页面`."""
    return [(" ".join(words), "".join(WORDS[word] for word in words)) for words in product(VERBS, COLOURS, THINGS)]


def write(file: Path, number: int = 210) -> Path:
    """A .tsv of so many of them, taken evenly."""
    chosen = sentences()[:: max(1, 210 // number)][:number]
    lines = ["en\tzh_Hans", *("\t".join(pair) for pair in chosen)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def catalogue(messages: dict[str, str], extra: str = "") -> str:
    """A .po of these messages."""
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
    return (
        head + "".join(f'msgid "{text}"\nmsgstr "{translation}"\n\n' for text, translation in messages.items()) + extra
    )
