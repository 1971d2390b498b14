"""Values for the gaps of privacy_texts.py: names and words of Faker, numbers with and without right check digits."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from faker import Faker

PRODUCTS = {
    "en": "Galaxy Note 9, Surface Pro, ThinkPad Carbon, Kindle Fire, Mac Mini, Chrome Cast, Model Three, Jordan Shoes, "
    "Dell Inspiron, Harley Fat Boy, Moleskine Classic, Nest Hub, Philips Hue, Aurora Lamp, Victoria Sponge, "
    "Martin Guitar",
    "zh": "小米手机, 华为平板, 王老吉, 老干妈, 周黑鸭, 金龙鱼, 康师傅, 白象方便面, 马应龙, 李宁运动鞋, 方太油烟机, "
    "张小泉菜刀, 安卓系统, 高德地图",
}
"""Some are called after people."""
ROADS = "人民 解放 中山 建设 和平 长安 文化 幸福 学院 科技 花园 滨江 青年 胜利 新华 朝阳 东风 西湖"
ESTATES = "阳光花园 翠湖小区 万科城 碧桂园 幸福里 书香苑 锦绣家园 望江公寓 金色家园 华府"


class Values:
    """Draws values of one language from a seed."""

    def __init__(self, language: str, seed: int) -> None:
        self.language = language
        self.dice = random.Random(f"{language} {seed}")
        locales = ["zh_CN"] if language == "zh" else ["en_US", "en_GB", "en_IN"]
        self.fakers = [Faker(locale) for locale in locales]
        self.latin = Faker("en_US")
        """E-mail addresses are in Latin letters in Chinese texts too."""
        for faker in (*self.fakers, self.latin):
            faker.seed_instance(self.dice.getrandbits(32))
        self.draw: Mapping[str, Callable[[], str]] = {
            "name": self.name, "phone": self.phone, "email": self.email, "address": self.address, "card": self.card,
            "iban": lambda: self.grouped(self.fakers[0].iban(), 4), "passport": self.passport,
            "id": self.identity if language == "zh" else self.insurance, "account": self.account,
            "NOT order": self.order, "NOT date": self.date, "NOT price": self.price, "NOT version": self.version,
            "NOT isbn": self.isbn, "NOT product": lambda: self.dice.choice(PRODUCTS[language].split(", ")),
            "NOT id": self.wrong_identity, "NOT card": self.wrong_card,
        }  # fmt: skip

    def digits(self, n: int) -> str:
        return "".join(self.dice.choices("0123456789", k=n))

    def grouped(self, number: str, size: int) -> str:
        """As it is, or in groups."""
        gap = self.dice.choice(("", " "))
        return gap.join(number[i : i + size] for i in range(0, len(number), size))

    def name(self) -> str:
        faker = self.dice.choice(self.fakers)
        if self.language == "zh":
            return str(faker.name())
        return f"{faker.first_name()} {faker.last_name()}" if self.dice.random() < 0.8 else str(faker.first_name())

    def phone(self) -> str:
        if self.language == "en":
            area, rest = (
                f"{self.dice.choice((212, 415, 617, 312, 206, 305))}",
                f"{self.dice.randrange(200, 999)}",
            )
            last = self.digits(4)
            us = [
                f"({area}) {rest}-{last}",
                f"{area}-{rest}-{last}",
                f"+1 {area} {rest} {last}",
                f"{area}.{rest}.{last}",
            ]
            uk = [
                f"07{self.dice.choice('45789')}{self.digits(2)} {self.digits(6)}",
                f"+44 20 7{self.digits(3)} {self.digits(4)}",
            ]
            return self.dice.choice(us + uk)
        mobile = f"1{self.dice.choice(('38', '39', '50', '59', '77', '86', '88', '91'))}{self.digits(8)}"
        land = f"{self.dice.choice(('010', '021', '020', '0571'))}-{self.dice.choice('2568')}{self.digits(7)}"
        forms = [
            mobile,
            f"{mobile[:3]}-{mobile[3:7]}-{mobile[7:]}",
            f"{mobile[:3]} {mobile[3:7]} {mobile[7:]}",
            f"+86 {mobile}",
            land,
        ]
        forms.append(mobile.translate({ord(str(d)): chr(0xFF10 + d) for d in range(10)}))
        return self.dice.choice(forms)

    def email(self) -> str:
        return str(self.latin.email())

    def address(self) -> str:
        if self.language == "en":
            faker = self.dice.choice(self.fakers[:2])
            if faker is self.fakers[0]:
                return f"{faker.street_address()}, {faker.city()}, {faker.state_abbr()} {faker.postcode()}"
            kind = self.dice.choice(("Street", "Road", "Lane", "Close", "Avenue"))
            street = f"{self.dice.randrange(1, 200)} {faker.last_name()} {kind}"
            return f"{street}, {faker.city()} {faker.postcode()}"
        faker = self.fakers[0]
        place = self.dice.choice(
            (f"{faker.province()}{faker.city()}{faker.district()}区", f"{faker.city_name()}市{faker.district()}区", "")
        )
        road = f"{self.dice.choice(ROADS.split())}{self.dice.choice('东西南北中')}路{self.dice.randrange(1, 999)}号"
        building = (
            f"{self.dice.randrange(1, 30)}{self.dice.choice(('栋', '号楼', '幢', '栋2单元', '号楼2单元', '幢2单元'))}"
        )
        room = f"{building}{self.dice.randrange(101, 2999)}{self.dice.choice(('室', ''))}"
        return place + self.dice.choice(
            (road, f"{road}{self.dice.choice(ESTATES.split())}{room}", f"{self.dice.choice(ESTATES.split())}{room}")
        )

    def card(self) -> str:
        length = self.dice.choice((16, 16, 19)) if self.language == "zh" else 16
        first = (
            self.dice.choice(("62", "622", "621"))
            if self.language == "zh"
            else self.dice.choice(("4", "51", "53", "55"))
        )
        return self.grouped(with_luhn(first + self.digits(length - 1 - len(first))), 4)

    def wrong_card(self) -> str:
        number = with_luhn(f"4{self.digits(14)}")
        return self.grouped(number[:-1] + str((int(number[-1]) + self.dice.randrange(1, 10)) % 10), 4)

    def identity(self) -> str:
        body = f"{self.dice.choice(('110101', '310104', '440305', '330106', '510107'))}{self.birth()}{self.digits(3)}"
        return body + check_of(body)

    def insurance(self) -> str:
        """A US social security number, or a British National Insurance number."""
        group = self.dice.randrange(1, 899)
        area = group + (group >= 666)
        social = f"{area:03}-{self.dice.randrange(1, 99):02}-{self.dice.randrange(1, 9999):04}"
        letters = self.dice.choice(("AB", "CE", "JM", "NX", "SK", "WL"))
        gap = self.dice.choice(("", " "))
        british = gap.join([letters, *(self.digits(2) for _ in range(3)), self.dice.choice("ABCD")])
        return self.dice.choice((social, british))

    def account(self) -> str:
        name = f"{self.latin.user_name()}{self.dice.choice(('', '_', '-'))}{self.digits(2)}"
        return self.dice.choice((name, f"wxid_{self.digits(8)}", f"{self.dice.randrange(10**6, 10**10)}"))

    def wrong_identity(self) -> str:
        number = self.identity()
        return number[:-1] + self.dice.choice([digit for digit in "0123456789X" if digit != number[-1]])

    def birth(self) -> str:
        return f"{self.dice.randrange(1945, 2012)}{self.dice.randrange(1, 13):02}{self.dice.randrange(1, 29):02}"

    def passport(self) -> str:
        return (
            f"{self.dice.choice(('E', 'G', 'EA', 'EB'))}{self.digits(8)}"[:9]
            if self.language == "zh"
            else self.digits(9)
        )

    def order(self) -> str:
        day = f"2024{self.dice.randrange(1, 13):02}{self.dice.randrange(1, 29):02}"
        dashes = "-".join(map(self.digits, (3, 7, 7)))
        forms = [f"{day}{self.digits(n)}" for n in (4, 6, 9)]
        return self.dice.choice(
            [*forms, f"SF{self.digits(13)}", dashes, self.digits(8), f"A-{self.digits(6)}", self.digits(12)]
        )

    def date(self) -> str:
        year, month, day = self.dice.randrange(1990, 2027), self.dice.randrange(1, 13), self.dice.randrange(1, 29)
        if self.language == "zh":
            return self.dice.choice(
                (f"{year}年{month}月{day}日", f"{year}-{month:02}-{day:02}", f"{year}.{month:02}.{day:02}")
            )
        return self.dice.choice(
            (
                f"{year}-{month:02}-{day:02}",
                f"{day:02}/{month:02}/{year}",
                f"March {day}, {year}",
                f"{day}.{month}.{year}",
            )
        )

    def price(self) -> str:
        amount = self.dice.choice(
            (
                f"{self.dice.randrange(1, 999)}.{self.digits(2)}",
                f"{self.dice.randrange(1, 999)},{self.digits(3)}",
                f"{self.dice.randrange(1, 99)},{self.digits(3)},{self.digits(3)}",
            )
        )
        return f"{amount}元" if self.language == "zh" else f"{self.dice.choice('$£€')}{amount}"

    def version(self) -> str:
        return ".".join(str(self.dice.randrange(0, 40)) for _ in range(self.dice.choice((2, 3, 4))))

    def isbn(self) -> str:
        return self.dice.choice((str(self.fakers[0].isbn13()), f"978{self.digits(10)}", str(self.fakers[0].isbn10())))


def with_luhn(body: str) -> str:
    """The digits with Luhn's check digit: doubled every other one from the right, tens and ones added."""
    total = sum(sum(divmod(int(digit) * (2 - i % 2), 10)) for i, digit in enumerate(reversed(body)))
    return body + str(-total % 10)


def check_of(body: str) -> str:
    """The check digit of 17 digits by the weights of GB 11643."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[sum(weight * int(digit) for weight, digit in zip(weights, body, strict=True)) % 11]
