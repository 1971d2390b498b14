"""The words of the pages in English and Chinese, and which of them a browser is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

COOKIE = "strop_language"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """All that a page says, in one language. `other` names the other language, in its own words."""

    code: str
    other_code: str
    other: str
    skip: str
    pages: str
    chat: str
    compare: str
    needs_script: str
    # chat
    conversations: str
    new: str
    untitled: str
    delete: str
    delete_all: str
    delete_all_sure: str
    kept_here: str
    kept_there: str
    hello: str
    hello_more: str
    messages: str
    message: str
    write: str
    keys: str
    send: str
    stop: str
    you: str
    assistant: str
    writing: str
    stopped: str
    cut: str
    empty: str
    retry: str
    edit: str
    ask_again: str
    cancel: str
    good: str
    bad: str
    comment: str
    comment_what: str
    better: str
    better_what: str
    keep: str
    thanks: str
    version: str
    # compare
    compare_title: str
    compare_more: str
    question: str
    ask_both: str
    answer_a: str
    answer_b: str
    which: str
    a_better: str
    b_better: str
    same: str
    both_bad: str
    compare_keys: str
    recorded: str
    next: str
    # memory
    memory: str
    memory_title: str
    memory_more: str
    memory_whose: str
    memory_new: str
    memory_add: str
    memory_list: str
    memory_none: str
    memory_text: str
    memory_all_sure: str
    memory_saved: str
    memory_deleted: str
    # what goes wrong
    unreachable: str
    busy: str
    broken: str
    not_kept: str
    full: str


ENGLISH = Words(
    code="en",
    other_code="zh-CN",
    other="中文",
    skip="Skip to the conversation",
    pages="Pages",
    chat="Chat",
    compare="Compare",
    needs_script="This page needs JavaScript. The API answers without it.",
    conversations="Conversations",
    new="New conversation",
    untitled="New conversation",
    delete="Delete",
    delete_all="Delete all",
    delete_all_sure="Delete all conversations in this browser?",
    kept_here="Conversations are kept in this browser only.",
    kept_there="The server keeps answers and what you say of them, to learn from. This list stays in your browser.",
    hello="Ask something",
    hello_more="The model answers on this machine. It may be wrong.",
    messages="Messages",
    message="Message",
    write="Write a message",
    keys="Enter sends, Shift+Enter starts a new line, Esc stops an answer.",
    send="Send",
    stop="Stop",
    you="You",
    assistant="Assistant",
    writing="Writing…",
    stopped="Stopped.",
    cut="The answer reached its longest length.",
    empty="The answer is empty.",
    retry="Retry",
    edit="Edit",
    ask_again="Ask again",
    cancel="Cancel",
    good="Good answer",
    bad="Bad answer",
    comment="Comment",
    comment_what="What is good or bad about this answer?",
    better="Write a better answer",
    better_what="The answer that should have been given",
    keep="Save",
    thanks="Saved. Thank you.",
    version="Version",
    compare_title="Which answer is better?",
    compare_more="Two answers to your question, in random order. Which stands where is not shown.",
    question="Your question",
    ask_both="Get two answers",
    answer_a="Answer A",
    answer_b="Answer B",
    which="Your judgement",
    a_better="A is better",
    b_better="B is better",
    same="The same",
    both_bad="Both bad",
    compare_keys="Keys, while the answers or these buttons have the focus: A, B, S for the same, X for both bad.",
    recorded="Saved. Thank you. Another one?",
    next="Next question",
    memory="Memory",
    memory_title="What the assistant remembers of you",
    memory_more="It is kept on the server. What is nearest to a question is told to the model in your conversations.",
    memory_whose="Only this browser can show, change or delete it. Delete it before you clear the browser's data.",
    memory_new="Something to remember",
    memory_add="Remember",
    memory_list="Remembered",
    memory_none="Nothing yet.",
    memory_text="What is to be remembered",
    memory_all_sure="Delete all that is remembered of you?",
    memory_saved="Saved.",
    memory_deleted="Deleted.",
    unreachable="The server cannot be reached.",
    busy="Many are asking at the moment. Try again in {seconds} s.",
    broken="The answer broke off: {reason}",
    not_kept="This answer is not kept, so nothing can be said of it: {reason}",
    full="This browser has no room left for conversations: delete some.",
)

CHINESE = Words(
    code="zh-CN",
    other_code="en",
    other="English",
    skip="跳到对话",
    pages="页面",
    chat="对话",
    compare="比较",
    needs_script="本页面需要 JavaScript。API 不需要它。",
    conversations="对话记录",
    new="新对话",
    untitled="新对话",
    delete="删除",
    delete_all="全部删除",
    delete_all_sure="删除此浏览器中的全部对话？",
    kept_here="对话只保存在此浏览器中。",
    kept_there="回答和您的评价由服务器保存，供模型学习。此列表保存在此浏览器中。",
    hello="问点什么吧",
    hello_more="模型在本机回答，可能会出错。",
    messages="消息",
    message="消息",
    write="输入消息",
    keys="Enter 发送，Shift+Enter 换行，Esc 停止回答。",
    send="发送",
    stop="停止",
    you="您",
    assistant="助手",
    writing="正在回答…",
    stopped="已停止。",
    cut="回答已达到最大长度。",
    empty="回答是空的。",
    retry="重新回答",
    edit="编辑",
    ask_again="重新提问",
    cancel="取消",
    good="回答得好",
    bad="回答得不好",
    comment="评论",
    comment_what="这个回答好在哪里，或差在哪里？",
    better="写一个更好的回答",
    better_what="应当给出的回答",
    keep="保存",
    thanks="已保存，谢谢。",
    version="版本",
    compare_title="哪个回答更好？",
    compare_more="对您的问题给出两个回答，顺序随机，不显示哪个来自哪里。",
    question="您的问题",
    ask_both="获取两个回答",
    answer_a="回答 A",
    answer_b="回答 B",
    which="您的判断",
    a_better="A 更好",
    b_better="B 更好",
    same="一样好",
    both_bad="都不好",
    compare_keys="焦点在回答或这些按钮上时可用按键：A、B，S 表示一样好，X 表示都不好。",
    recorded="已保存，谢谢。再来一个？",
    next="下一个问题",
    memory="记忆",
    memory_title="助手记住的关于您的事",
    memory_more="内容保存在服务器上。在您的对话中，与问题最接近的几条会告诉模型。",
    memory_whose="只有此浏览器可以查看、修改和删除。清除浏览器数据之前，请先删除这些内容。",
    memory_new="要记住的事",
    memory_add="记住",
    memory_list="已记住",
    memory_none="还没有。",
    memory_text="要记住的内容",
    memory_all_sure="删除记住的关于您的所有内容？",
    memory_saved="已保存。",
    memory_deleted="已删除。",
    unreachable="无法连接服务器。",
    busy="现在提问的人很多，请在 {seconds} 秒后重试。",
    broken="回答中断：{reason}",
    not_kept="这个回答没有保存，因此不能评价：{reason}",
    full="此浏览器已没有空间保存对话：请删除一些。",
)

LANGUAGES: Mapping[str, Words] = {words.code: words for words in (ENGLISH, CHINESE)}


def chosen(cookie: str | None, accepted: str) -> Words:
    """The words by the reader's choice, else by Accept-Language, else English."""
    if cookie is not None and cookie in LANGUAGES:
        return LANGUAGES[cookie]
    for tag in _by_weight(accepted):
        for words in LANGUAGES.values():
            if tag.partition("-")[0] == words.code.partition("-")[0]:
                return words
    return ENGLISH


def _by_weight(accepted: str) -> list[str]:
    """The language tags of an Accept-Language header, the most wanted first; a broken part is passed over."""
    weighted: list[tuple[float, int, str]] = []
    for part in accepted.lower().split(","):
        tag, _, weight = part.partition(";")
        name, _, number = weight.partition("=")
        try:
            quality = float(number) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        if quality > 0:
            weighted.append((-quality, len(weighted), tag.strip()))
    return [tag for _, _, tag in sorted(weighted)]
