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
    rate: str
    stars: str
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
    asked: str
    person: str
    system: str
    skip_pair: str
    own: str
    nothing_waits: str
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
    key_title: str
    key_more: str
    key_own: str
    key_copy: str
    key_copied: str
    key_none: str
    key_other: str
    key_form: str
    key_use: str
    key_used: str
    key_sure: str
    # the assistant
    versions_page: str
    versions_title: str
    versions_serves: str
    versions_head: str
    status_serves: str
    status_served: str
    status_promoted: str
    status_refused: str
    status_waiting: str
    version_number: str
    version_first: str
    version_parent: str
    version_learnt: str
    version_again: str
    version_changed: str
    version_preferred: str
    version_skills: str
    version_verdict: str
    version_beside: str
    beside_title: str
    beside_changed: str
    beside_same: str
    people_head: str
    people_kept: str
    people_lessons: str
    people_lessons_of: str
    people_waits: str
    people_waits_of: str
    people_queue: str
    people_queue_of: str
    people_go: str
    people_bias: str
    people_bias_of: str
    people_bias_none: str
    people_thumbs: str
    people_comparisons: str
    people_alpha: str
    people_alpha_none: str
    people_alpha_same: str
    none: str
    count_answers: str
    count_thumb: str
    count_rating: str
    count_comment: str
    count_demonstration: str
    count_comparison: str
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
    kept_there="The server keeps what you ask, its answers and what you say of them, to learn from; others who compare "
    "answers may be shown them. This list stays in your browser.",
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
    rate="How good was this conversation?",
    stars="{number} of 5 stars",
    compare_title="Which answer is better?",
    compare_more="Two answers to one question, in random order. Where each comes from is not shown.",
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
    next="Next",
    asked="Somebody asked",
    person="Person",
    system="Instructions",
    skip_pair="Skip",
    own="Ask a question of my own",
    nothing_waits="Nothing waits to be compared at the moment. Ask a question of your own:",
    memory="Memory",
    memory_title="What the assistant remembers of you",
    memory_more="It is kept on the server. What is nearest to a question is told to the model in your conversations.",
    memory_whose="Only who has your key can show, change or delete it. This browser keeps the key for you.",
    memory_new="Something to remember",
    memory_add="Remember",
    memory_list="Remembered",
    memory_none="Nothing yet.",
    memory_text="What is to be remembered",
    memory_all_sure="Delete all that is remembered of you?",
    memory_saved="Saved.",
    memory_deleted="Deleted.",
    key_title="Your key, for another browser",
    key_more="What is remembered of you lies under this key. Keep it like a password: with it you can see, change and "
    "delete everything from any browser of this machine, also after this browser's data was cleared. Whoever "
    "else has it can do the same. Nobody can give it back to you if it is lost.",
    key_own="Your key",
    key_copy="Copy",
    key_copied="Copied.",
    key_none="This browser has no key yet: it gets one when you write the first thing to remember.",
    key_other="A key that you kept",
    key_form="32 to 200 letters, digits, - and _",
    key_use="Use it here",
    key_used="This browser uses that key now.",
    key_sure="This browser's own key is replaced. If you have not kept it, nobody can reach what is remembered under "
    "it any more. Go on?",
    versions_page="Assistant",
    versions_title="How the assistant learns",
    versions_serves="Version {number} answers now.",
    versions_head="Versions",
    status_serves="answers now",
    status_served="answered before",
    status_promoted="promoted",
    status_refused="refused",
    status_waiting="waits to be judged",
    version_number="Version {number}",
    version_first="The first version",
    version_parent="Goes on from",
    version_learnt="Learnt from",
    version_again="{new} pieces of feedback, and {again} of earlier rounds again",
    version_changed="{changed} of {all} answers to the fixed questions",
    version_preferred="Preferred",
    version_skills="Guarded skills",
    version_verdict="Verdict",
    version_beside="Changed",
    beside_title="Version {new} beside version {old}",
    beside_changed="{changed} of {all} answers to the fixed questions differ.",
    beside_same="The same: {number}",
    people_head="What people say",
    people_kept="Kept",
    people_lessons="New lessons",
    people_lessons_of="{number} of the {fewest} that learning takes",
    people_waits="Comparisons with the version that waits",
    people_waits_of="{number} of the {fewest} that the gate takes",
    people_queue="Pairs to compare",
    people_queue_of="{all}: {versions} of two versions, {doubtful} in doubt, {other} others",
    people_go="Compare two answers",
    people_bias="Position bias",
    people_bias_of="The first of two answers is chosen in a share of {share}; .5 is no bias.",
    people_bias_none="Not known: no comparison has a better answer yet.",
    people_thumbs="Agreement on thumbs",
    people_comparisons="Agreement on comparisons",
    people_alpha="{alpha} by Krippendorff’s alpha (1 all agree, 0 as by chance), of {raters} people; judged by two or "
    "more: {units}",
    people_alpha_none="Not known: no two people have judged the same yet.",
    people_alpha_same="Not known: all said the same.",
    none="Nothing yet",
    count_answers="answers: {number}",
    count_thumb="thumbs: {number}",
    count_rating="ratings: {number}",
    count_comment="comments: {number}",
    count_demonstration="better answers: {number}",
    count_comparison="comparisons: {number}",
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
    kept_there="您的问题、回答和您的评价由服务器保存，供模型学习；比较回答的其他人可能会看到。此列表保存在此浏览器中。",
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
    rate="这次对话怎么样？",
    stars="{number} 星（共 5 星）",
    compare_title="哪个回答更好？",
    compare_more="对一个问题的两个回答，顺序随机，不显示各自的来源。",
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
    next="下一个",
    asked="有人问",
    person="提问者",
    system="指示",
    skip_pair="跳过",
    own="我自己提问",
    nothing_waits="目前没有等待比较的回答。您可以自己提问：",
    memory="记忆",
    memory_title="助手记住的关于您的事",
    memory_more="内容保存在服务器上。在您的对话中，与问题最接近的几条会告诉模型。",
    memory_whose="只有持有您的密钥的人可以查看、修改和删除。此浏览器替您保存着密钥。",
    memory_new="要记住的事",
    memory_add="记住",
    memory_list="已记住",
    memory_none="还没有。",
    memory_text="要记住的内容",
    memory_all_sure="删除记住的关于您的所有内容？",
    memory_saved="已保存。",
    memory_deleted="已删除。",
    key_title="您的密钥，供其他浏览器使用",
    key_more="助手记住的关于您的事都在这把密钥之下。请像密码一样保管：有了它，您可以在本机的任何浏览器中查看、修改和删除全部内容，即使此浏览器的数据已被清除。别人有了它，也可以这样做。密钥一旦丢失，谁也无法找回。",
    key_own="您的密钥",
    key_copy="复制",
    key_copied="已复制。",
    key_none="此浏览器还没有密钥：您写下第一条要记住的事时，它会得到一把。",
    key_other="您保管的密钥",
    key_form="32 到 200 个字母、数字、- 和 _",
    key_use="在此使用",
    key_used="此浏览器现在使用这把密钥。",
    key_sure="此浏览器自己的密钥将被替换。如果您没有保存它，就再也无法找到它之下记住的内容。继续吗？",
    versions_page="助手",
    versions_title="助手如何学习",
    versions_serves="现在由版本 {number} 回答。",
    versions_head="版本",
    status_serves="正在回答",
    status_served="曾经回答",
    status_promoted="已通过",
    status_refused="未通过",
    status_waiting="等待评判",
    version_number="版本 {number}",
    version_first="最初的版本",
    version_parent="出自",
    version_learnt="学习了",
    version_again="{new} 条反馈，并重温以前各轮的 {again} 条",
    version_changed="固定问题的回答有 {changed} / {all} 个不同",
    version_preferred="受喜爱的比例",
    version_skills="受保护的技能",
    version_verdict="裁决",
    version_beside="变化",
    beside_title="版本 {new} 与版本 {old} 对照",
    beside_changed="固定问题的回答有 {changed} / {all} 个不同。",
    beside_same="相同的：{number} 个",
    people_head="人们的看法",
    people_kept="已保存",
    people_lessons="新的学习材料",
    people_lessons_of="{number} 条，学习需要 {fewest} 条",
    people_waits="与等待版本的比较",
    people_waits_of="{number} 次，关口需要 {fewest} 次",
    people_queue="待比较的回答",
    people_queue_of="{all} 对：两个版本之间 {versions} 对，有疑问的 {doubtful} 对，其他 {other} 对",
    people_go="去比较两个回答",
    people_bias="位置偏向",
    people_bias_of="两个回答中第一个被选的比例为 {share}；.5 表示没有偏向。",
    people_bias_none="未知：还没有分出好坏的比较。",
    people_thumbs="赞踩的一致程度",
    people_comparisons="比较的一致程度",
    people_alpha="Krippendorff α 为 {alpha}（1 为完全一致，0 如同随机），{raters} 人；两人以上评判的有 {units} 项",
    people_alpha_none="未知：还没有两个人评判过同一项。",
    people_alpha_same="未知：所有人的说法相同。",
    none="还没有",
    count_answers="回答 {number}",
    count_thumb="赞踩 {number}",
    count_rating="评分 {number}",
    count_comment="评论 {number}",
    count_demonstration="更好的回答 {number}",
    count_comparison="比较 {number}",
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
