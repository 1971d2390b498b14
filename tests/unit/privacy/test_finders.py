"""What each finder takes, and what it leaves: cases that can be read. Check digits are worked out by hand."""

from collections.abc import Iterable

import pytest

from strop.privacy import Finder, Found, Masker
from strop.privacy.addresses import addresses
from strop.privacy.cards import cards, ibans
from strop.privacy.chinese_names import chinese_names
from strop.privacy.digits import digits
from strop.privacy.emails import accounts, emails
from strop.privacy.english_names import english_names
from strop.privacy.folded import folded
from strop.privacy.identity import identities, is_chinese, passports
from strop.privacy.masker import apart
from strop.privacy.phones import phones


def said(find: Finder, text: str) -> list[str]:
    found: Iterable[Found] = apart(find(text))
    return [text[one.start : one.end] for one in found]


@pytest.mark.parametrize(
    "number",
    [
        "13812345678",
        "138 1234 5678",
        "138-1234-5678",
        "138\n1234\n5678",
        "1 3 8 1 2 3 4 5 6 7 8",
        "+8613812345678",
        "(86) 13812345678",
        "一三八一二三四五六七八",
        "零一零六二三四五六七八",
        "〇二一-六二三四五六七八",
        "010-62345678",
        "0571 87654321",
        "010-62345678转22",
        "(212) 555-0187",
        "212.867.5309",
        "+1 212 867 5309",
        "020 7946 0958",
        "+33 1 42 68 53 00",
    ],
)
def test_telephone_numbers(number):
    assert said(phones, f"({number}), {number}。") == [number, number]


def test_bare_digits_are_a_telephone_number_only_where_one_is_spoken_of():
    assert said(phones, "call me on 2128675309") == ["2128675309"]
    assert said(phones, "item 2128675309") == []
    assert said(phones, "座机是62345678") == ["62345678"]
    assert said(phones, "共62345678人") == []


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-15 10:30",
        "15.01.2024",
        "1,234,567.89",
        "version 10.12.138.1234",
        "138123456789",
        "20240115123456",
        "15 16 17 18 19 20",
        "978-7-302-51234-5",
        "800-555-0199",
        "400-820-8820",
        "#13812345678x",
    ],
)
def test_what_is_no_persons_telephone_number(text):
    assert said(phones, text) == []


@pytest.mark.parametrize(
    "text",
    ["ann.lee+x@mail.example.co.uk", "a@b.cn", "ann @ example.com", "ann [at] example [dot] com", "ann(at)qq.com"],
)
def test_e_mail_addresses(text):
    assert said(emails, f"邮箱{text}，{text} now") == [text, text]


@pytest.mark.parametrize(
    "text",
    ["ann@例子.中国", "ann@mail.例子.公司", "ann@bücher.de", "ann@xn--fsqu00a.xn--fiqs8s", "ann.lee at gmail.com"],
)
def test_addresses_of_other_letters_and_with_half_of_it_spoken(text):
    assert said(emails, f"写信给{text}。请回复 {text} now") == [text, text]
    assert said(emails, "Contact us at example.com, look at amazon.com, version 2 at github.com, 在5@北京") == []


def test_a_sentence_in_chinese_behind_an_address_is_no_part_of_it():
    assert said(emails, "我的邮箱是tom@example.com。公司在上海。") == ["tom@example.com"]
    assert said(emails, "邮箱tom@qq.com。请尽快回复我。OK？") == ["tom@qq.com"]
    assert said(emails, "安装vue@最新版。npm安装很慢怎么办") == []


@pytest.mark.parametrize(
    "text",
    [
        "sign-in at example.com",
        "check-in at booking.com",
        "log-in at netflix.com",
        "python3 at python.org",
        "mp3 at amazon.com",
        "node.js at github.com",
        "the address of node.js at github.com",
    ],
)
def test_what_is_done_at_a_host_is_no_address(text):
    assert said(emails, text) == []


def test_elsewhere_than_at_a_mail_host_first_last_needs_a_word_that_leads_to_it():
    assert said(emails, "my email is ann.lee at example.com") == ["ann.lee at example.com"]
    assert said(emails, "reach me at ann_lee at example.com") == ["ann_lee at example.com"]
    assert said(emails, "ann.lee at example.com") == []


def test_a_spoken_address_needs_a_name_that_is_no_word_or_mail_before_it():
    assert said(emails, "it is ann_lee at mail dot example dot com") == ["ann_lee at mail dot example dot com"]
    assert said(emails, "my email is ann at example dot com") == ["ann at example dot com"]
    assert said(emails, "we looked at amazon dot com; meet @ noon; @ann; a@b") == []


def test_cards_need_an_issuer_a_length_and_luhns_digit():
    # 4111 1111 1111 1111 from the right: 8 digits as they are add up to 8 (seven 1s and a 1), 7 doubled 1s and a 4: 22.
    assert said(cards, "4111 1111 1111 1111, 4111-1111-1111-1111 4111111111111111") == [
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111111111111111",
    ]
    assert said(cards, "4111 1111 1111 1112") == []
    assert said(cards, "1111 1111 1111 1117 0000 0000 0000 0000") == []  # no issuer
    assert said(cards, "378282246310005") == ["378282246310005"]  # American Express's test number
    assert said(cards, "A4111111111111111 4111111111111111B") == []


def test_ibans_need_their_two_check_digits():
    assert said(ibans, "to GB29 NWBK 6016 1331 9268 19 or DE89370400440532013000.") == [
        "GB29 NWBK 6016 1331 9268 19",
        "DE89370400440532013000",
    ]
    assert said(ibans, "GB28 NWBK 6016 1331 9268 19") == []


def test_chinese_identity_numbers():
    # The example of GB 11643: 11010519491231002X. Its weighted sum is 167 = 15 * 11 + 2, which is X.
    assert is_chinese("11010519491231002X")
    assert is_chinese("11010519491231002x")
    assert not any(is_chinese(f"11010519491231002{digit}") for digit in "0123456789")
    assert is_chinese("110105491231002")  # of 15 digits
    assert not is_chinese("110105491331002")  # month 13
    assert not is_chinese("990105491231002")  # no province
    # 1949-02-30 is no day; 2 more months ahead than 12-31 changes the sum, so every check digit is tried.
    assert not any(is_chinese(f"11010519490230002{digit}") for digit in "0123456789X")
    assert said(identities, "证件110105 19491231 002X。") == ["110105 19491231 002X"]
    assert said(identities, "111010519491231002X 11010519491231002X1") == []


def test_other_identity_and_passport_numbers_need_their_word():
    assert said(identities, "SSN: 123-45-6789, part 123-45-6789, NI QQ123456C AB 12 34 56 C") == [
        "123-45-6789",
        "AB 12 34 56 C",
    ]
    assert said(passports, "护照号E12345678，型号E12345678") == ["E12345678"]
    assert said(passports, "My passport is 123456789. Box 123456789") == ["123456789"]


@pytest.mark.parametrize(
    "text",
    [
        "12 Baker Street, London NW1 6XE",
        "1600 Pennsylvania Avenue NW, Washington, DC 20500",
        "Flat 3, 12 High Street, London SW1A 1AA",
        "4 Privet Drive",
        "77 Massachusetts Ave Apt 4B",
        "PO Box 123, Austin, TX 78701",
        "905 Any Inlet Suite 9, Somewhere, WI 24561",
    ],
)
def test_english_addresses(text):
    assert said(addresses, f"It goes to {text}. Thanks") == [text]


@pytest.mark.parametrize(
    "text",
    [
        "北京市朝阳区建国路88号3号楼501室",
        "浙江省杭州市西湖区文三路 269 号 华星大厦 1203 室",
        "西湖南路989号",
        "阳光花园3栋2单元501",
        "巢湖市东丽区滨江西路565号华府23栋1395室",
    ],
)
def test_chinese_addresses(text):
    assert said(addresses, f"我住在{text}，谢谢") == [text]
    assert said(addresses, f"寄到{text}。") == [text]


@pytest.mark.parametrize(
    "text",
    [
        "5 miles down the road",
        "3号线2号口",
        "人民路在哪里",
        "第5章第3节",
        "Room 5, Level 3",
    ],
)
def test_what_is_no_address(text):
    assert said(addresses, text) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("我叫王小明，他叫欧阳娜娜。", ["王小明", "欧阳娜娜"]),
        ("張偉明說他認識陳美玲", ["張偉明", "陳美玲"]),
        ("王伟明天来", ["王伟"]),
        ("约翰·史密斯来了", ["约翰·史密斯"]),
        ("李先生，您好", ["李"]),
        ("高兴认识你，周末去黄山，马上安排。", []),
        ("安全生产和金融知识讲座", []),
        ("老师好，王国的方向很多", []),
        ("我叫阿卜杜拉·买买提，今年五岁", ["阿卜杜拉·买买提"]),
        ("我叫古丽•买买提今年五岁", ["古丽•买买提"]),
        ("姓名：阿卜杜拉·买买提，患者：头痛·发热", ["阿卜杜拉·买买提"]),
        ("客户端·服务器架构是什么？乘客须知·行李规定，签名算法·证书，书名叫红楼·梦", []),
    ],
)
def test_chinese_names(text, names):
    assert said(chinese_names, text) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("I talked to Emma Johnson and Dr. Smith.", ["Emma Johnson", "Smith"]),
        ("My name is Vamakshi Cheema.", ["Vamakshi Cheema"]),
        ("We met Zhang Wei and Xiaoming Wang", ["Zhang Wei", "Xiaoming Wang"]),
        ("Victoria Hill and John F. Kennedy spoke", ["Victoria Hill", "John F. Kennedy"]),
        ("then Jessica left", ["Jessica"]),
        ("Will it rain in May? Mark the date. Hope so.", []),
        ("New York, San Francisco and the Black Sea", []),
        ("The Galaxy Note and the Surface Pro use PPO and GRPO", []),
        ("README, JavaScript, ann.Lee@x, Chapter Three", []),
        # whole words, with whatever marks, and all that hangs on them
        ("My name is Nguyễn Văn An.", ["Nguyễn Văn An"]),
        ("My name is Nguye\u0302\u0303n Va\u0306n An.", ["Nguye\u0302\u0303n Va\u0306n An"]),
        ("Siobhan O'Brien-Smith called, and so did MARY SMITH-JONES", ["Siobhan O'Brien-Smith", "MARY SMITH-JONES"]),
        (
            "Đặng Minh, Lê Thị Mai, Łukasz Żółkowski and Jürgen Müller left",
            ["Đặng Minh", "Lê Thị Mai", "Łukasz Żółkowski", "Jürgen Müller"],
        ),
        ("Le Méridien, Le Café Noir, the Ho Chí Minh City office, Hồ Chí Minh City", []),
        ("The Żubrówka and the Über app, the Señor of the Café", []),
        # who is introduced, in whatever letters
        ("my name is maria", ["maria"]),
        ("hi, my name's maria garcia and i need help", ["maria garcia"]),
        ("My name is Will Park", ["Will Park"]),
        ("MY NAME IS MARIA AND I LIVE HERE", ["MARIA"]),
        ("My name is on the list, and my name is spelled wrong. My name is not important", []),
        ("my name is mispronounced, my name is hyphenated, my name is misspelt", []),
        ("my name is blank on the form", []),
        # initials
        ("the U.S. Marshals, a U.S. Dollar, U.S. Postal, U.S. Steel, U.S. Virgin, the U.K. Parker, D.C. Smith", []),
        (
            "J. R. Tolkien and J.R.R. Tolkien wrote; the U. S. Army and the U.S. Navy",
            ["J. R. Tolkien", "J.R.R. Tolkien"],
        ),
        # firms that are called by initials, unless a person is led to
        ("J.P. Morgan Chase raised rates; I bank at J. P. Morgan, JP Morgan and T. Rowe Price", []),
        ("my account at J.P. Morgan Chase & Co., a J.C. Penney coupon, J.P. Morgan", []),
        ("Dear J.P. Morgan, Mr. J. P. Morgan and J.P. Morris left", ["J.P. Morgan", "J. P. Morgan", "J.P. Morris"]),
        ("My name is J.P. Morgan", ["J.P. Morgan"]),
    ],
)
def test_english_names(text, names):
    assert said(english_names, text) == names


def test_an_account_behind_a_space_is_what_looks_like_nothing_else():
    given = "微信 wx_abc123，微信号 wx_abc124 QQ 123456789，QQ号12345678可以加，微信号wang88, WeChat ID ann-lee88. "
    given += "QQ 87654321. QQ 300000012, QQ号3000000"
    found = [
        "wx_abc123",
        "wx_abc124",
        "123456789",
        "12345678",
        "wang88",
        "ann-lee88",
        "87654321",
        "300000012",
        "3000000",
    ]
    assert said(accounts, given) == found
    assert said(accounts, "WeChat Official, Skype meeting, Telegram channel, QQ 2012, 微信 支付, 微信 8.0.12") == []


@pytest.mark.parametrize(
    "text",
    [
        "QQ 20231201更新",
        "QQ 20231201",
        "QQ 202312",
        "QQ 10000个赞",
        "QQ 3000000",
        "QQ 300000000, and",
        "QQ 1000000 users",
        "QQ号 123456 个",
        "QQ 123456789联系",
        "微信pay2024",
        "微信 pay2024",
        "Telegram Bot_API",
        "WhatsApp Android14",
        "WeChat Mini_Program",
    ],
)
def test_what_stands_behind_the_name_of_a_service_and_is_no_account(text):
    assert said(accounts, text) == []


@pytest.mark.parametrize("again", ["QQ", "WeChat ", "微信 a_", "微信号a1"])
def test_long_texts_are_searched_in_linear_time(again):
    """A search in quadratic time would take minutes here."""
    text = again * (50_000 // len(again))
    assert Masker().masked(text).text == text


def test_accounts():
    assert said(accounts, "QQ：12345678，加微信 wang_li88, WeChat ID is ann-lee1; QQ音乐") == [
        "12345678",
        "wang_li88",
        "ann-lee1",
    ]


def test_groups_of_digits_are_joined_whole():
    assert [one.text for one in digits("123 456 7890", 6, 7)] == ["123456", "4567890"]
    assert [one.text for one in digits("1 2 3 4", 3, 4)] == ["123", "1234", "234"]
    assert [one.text for one in digits("12 34", 4, 4)] == []  # groups of two are no way to write a number


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("１３８", "138"),  # full width
        ("٣٤", "34"),  # Arabic
        ("𝟙𝟚", "12"),  # mathematical
        ("1\u200b2\u00ad3\ufeff4", "1234"),  # zero-width space, soft hyphen, byte-order mark
        ("1\u00a02\u30003", "1 2 3"),  # no-break and ideographic space
        ("1–2—3－4", "1-2-3-4"),
        ("аnn＠ｅxample．com", "ann@example.com"),  # a Cyrillic a
        ("é\n中", "é\n中"),
    ],
)
def test_look_alikes_are_read_as_one(given, read):
    assert folded(given).text == read


def test_a_span_of_a_folded_text_is_found_again():
    text = "a\u200b１\u200b２b"
    plain = folded(text)
    assert plain.text == "a12b"
    assert plain.original(Found("id", 1, 3)) == Found("id", 2, 5)
    assert folded("ab<NAME 1>c", [(2, 10)]).text == "ab\ue000c"
