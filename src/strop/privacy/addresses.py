"""Postal addresses: a street with a number, or a building with a room, and the place that stands beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from strop.privacy.found import Found

# ---------------------------------------------------------------- English

SUFFIX = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Place|Pl|Way|Square|Sq|Terrace|Ter|Close"
    r"|Crescent|Cres|Parkway|Pkwy|Circle|Cir|Highway|Hwy|Trail|Trl|Mews|Gardens|Grove|Hill|Row|Walk|Alley|Loop|Plaza"
    r"|Pike"
    r"|Green|Rise|View|Quay|Wharf|Point|Ridge|Run|Path|Pass|Crossing|Station|Heights|Meadows?|Turnpike|Expressway"
    r"|Broadway)"
)
PLACE = r"(?:[A-Z][A-Za-z'’.-]{1,20}(?: [A-Z][A-Za-z'’.-]{1,20}){0,3})"
UNIT = r"(?:(?:Apartment|Apt|Suite|Ste|Unit|Flat|Floor|Room|Rm)\.? ?#?[A-Za-z0-9-]{1,6}|#[A-Za-z0-9-]{1,6})"
POSTCODE = r"[A-Z]{1,2}\d[A-Z0-9]? ?\d[A-Z]{2}"
ZIP = r"(?:[A-Z]{2}|[A-Z][a-z]{3,12}(?: [A-Z][a-z]{3,12})?),? \d{5}(?:-\d{4})?"
STREET = (
    rf"\d{{1,5}}[A-Za-z]?(?:[-/]\d{{1,4}})?,? (?:[NSEW]\.? |(?:North|South|East|West) )?"
    rf"(?:(?:[A-Z][A-Za-z'’.-]{{1,20}}|\d{{1,3}}(?:st|nd|rd|th)) ){{1,4}}?"
    rf"{SUFFIX}\b(?:(?<=St|Rd|Dr|Ct|Pl|Sq|Ln)\.|(?<=Ave|Hwy)\.|(?<=Blvd|Pkwy)\.)?(?: [NSEW]{{1,2}}\b)?"
)
TOWN = rf"(?:,? ?(?:\n ?)?{PLACE}){{0,2}}?,? ?(?:\n ?)?(?:{POSTCODE}|{ZIP})"
ENGLISH = re.compile(
    rf"(?<![A-Za-z0-9.,$£€#/-])(?:{UNIT},? )?{STREET}(?:,? ?(?:\n ?)?{UNIT})?(?:{TOWN}\b|(?:, {PLACE}){{0,2}})"
)
ANY_STREET = re.compile(
    rf"(?<![A-Za-z0-9.,$£€#/-])\d{{1,5}}[A-Za-z]?,? {PLACE}(?:,? ?(?:\n ?)?{UNIT})?(?:,"
    rf"|\n)(?: ?{PLACE},?){{1,2}} (?:{POSTCODE}|{ZIP})\b"
)
"""Whatever the street is called, if a town and a postcode stand behind it."""
LOWER = re.compile(
    r"(?:live at|living at|address:?|ship(?:ped)? to|deliver(?:ed)? to|sent to|send (?:it |this )?to|moved to"
    r"|reside at|located at)(?: is)? "
    r"(\d{1,5}[a-z]? (?:[a-z0-9]{2,20} ){1,3}?(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|court"
    r"|place|way|square|terrace|close|crescent)\b"
    r"(?:,? (?:apt|unit|flat|suite|#) ?[a-z0-9-]{1,6})?)",
    re.IGNORECASE,
)
BOX = re.compile(rf"\bP\.? ?O\.? Box \d{{1,6}}(?:{TOWN}\b)?")

# ---------------------------------------------------------------- Chinese

NUMBER = r"(?:\d{1,5}|[一二三四五六七八九十百]{1,5})"
UNITS = (
    rf"(?:\s?(?:附|之)?[A-Za-z甲乙丙丁东西南北]?{NUMBER}[A-Za-z甲乙丙丁]?\s?"
    r"(?:号楼|号院|号|幢|栋|座|单元|门|楼层|楼|层|室|房|户|组))"
)
ROAD = (
    r"(?:大街|大道|路|街|道|巷|弄|胡同|里|村|镇|乡|庄|园|苑|城|小区|社区"
    r"|花园|家园|新村|公寓|大厦|广场|中心|坊|湾|府|庭|期|区|屯|段|条)"
)
HAN = r"[\u4e00-\u9fff]"
CORE = re.compile(
    rf"{ROAD}(?:[东西南北中]{{1,2}}段?|[一二三四五六七八九十]{{1,2}}(?:路|街|巷|段|期"
    rf"|区))?(?:{UNITS}{{1,6}}(?:\s?\d{{2,5}}(?!\d))?|\s?\d{{1,4}}(?:-\d{{1,5}}){{1,3}})"
    rf"(?:\s?{HAN}{{2,10}}{UNITS}{{1,5}}(?:\s?\d{{3,5}}(?!\d))?)?"
)
"""A street or an estate with a number, then perhaps an estate with numbers."""
LEFT = re.compile(r"[\u4e00-\u9fff\dA-Za-z ·]{0,40}$")
REGION = re.compile(
    r"(?:中国)?(?:北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东"
    r"|海南|四川|贵州|云南|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门)"
    r"(?:省|市|壮族自治区|回族自治区|维吾尔自治区|自治区|特别行政区)?(?!.?(?:路|街|巷|大道))"
)
CITY = re.compile(rf"(?<=[在到至往是于为址去给：: ，,]){HAN}{{2,4}}(?:市|县|州)(?=.)")
BEFORE = re.compile(r".*(?:[在到至往于是为去给从住址]|我家|公司)")


def addresses(text: str) -> Iterator[Found]:
    """English addresses of a street and number or a post office box; Chinese ones of a road or estate and numbers."""
    for pattern in (ENGLISH, ANY_STREET, BOX):
        for match in pattern.finditer(text):
            yield Found("address", *match.span())
    for match in LOWER.finditer(text):
        yield Found("address", *match.span(1))
    for match in CORE.finditer(text):
        if (start := _start(text, match.start())) < match.start():
            yield Found("address", start, match.end())


def _start(text: str, core: int) -> int:
    """Where the places before a Chinese road begin: at the region if one is named, else behind a word such as "in"."""
    line = text[max(0, core - 40) : core]
    left = LEFT.search(line)
    assert left is not None
    begin = core - (len(line) - left.start())
    led = BEFORE.match(text, begin, core)
    start = led.end() if led else begin
    if (region := REGION.search(text, begin)) and region.end() <= core:
        is_inside = start < region.start() and text[region.start() - 1] in "省市区县"
        start = start if is_inside else region.start()
    elif not led and (city := CITY.search(text, begin, core)):
        start = city.start()
    while start < core and not "\u4e00" <= text[start] <= "\u9fff":
        start += 1
    return start
