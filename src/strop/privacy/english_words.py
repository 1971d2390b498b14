"""Words that the search for English names knows."""

PROPER_TEXT = """
January February March April May June July August September October November December Monday Tuesday Wednesday
Thursday Friday Saturday Sunday America England Britain London Paris China Chinese English French German Japan
Japanese India Indian Europe European Asia Africa Canada Australia York Chicago Boston Texas Florida California
Virginia Georgia Carolina Dakota Washington Houston Dallas Phoenix Austin Denver Portland Seattle Berlin Rome
Madrid Sydney Beijing Shanghai Google Amazon Apple Microsoft Windows Android Samsung Galaxy Tesla Ford Honda
Toyota Sony Intel Python Java Linux Christmas Easter God Jesus Christ Bible Internet Street Road Avenue Lane
Drive Court Place Square Park Bridge Hill Lake River University College School Hospital Hotel Bank Inc Ltd Corp
Company Group Store Center Centre Museum Church Airport Station North South East West New San Los Saint St
Mount Fort Port El La Las De Mr Mrs Ms Miss Dr Prof Sir Madam The This That These Those There Here I It He She
We You They What When Where Who Why How If And But Or So Then Not No Yes My Your His Her Our Their Its A An In
On At To For From With By Of As Is Are Was Were Be Been Do Does Did Have Has Had Can Could Will Would Shall
Should May Might Must Please Thanks Thank Dear Hi Hello Hey Sorry OK Okay Let Just Also Regards Order Call
Email Mail Phone Address Name Card Passport Number Contact Send Ship Today Tomorrow Yesterday Morning Version
Model Apt Suite Unit Flat Floor Room Box Kind Best Warm Sincerely Cheers Yours Love Re Fwd Subject Date Invoice
Account Customer Patient Guest Recipient Attn
"""
PROPER = frozenset(PROPER_TEXT.split())
"""Words with a capital that begin or end no name of a person here, though some are also names."""
PREFIX_TEXT = """
San Los New North South East West Saint St Mount Fort Port El La Las De Lake River Galaxy Model Google Amazon Apple
Microsoft Samsung Tesla Ford Honda Toyota Sony Intel
"""
PREFIXES = frozenset(PREFIX_TEXT.split())
"""Of these, words that begin the name of a place or a product."""

ABBREVIATION_TEXT = """
U.S. U.K. E.U. U.N. D.C. U.S.A. U.S.S. U.A.E. P.O. L.A. N.Y. P.S. A.I. I.T. T.V. G.I.
"""
ABBREVIATIONS = frozenset(ABBREVIATION_TEXT.split())
"""Letters with dots that are no initials of a person."""

COMPANY_TEXT = """
JPMorganChase JPMorgan TRowePrice JCPenney JBHunt EFHutton HRBlock JDPower AGEdwards LLBean
"""
COMPANIES = frozenset(COMPANY_TEXT.split())
"""Firms that are called by the initials of a person, without dots and spaces."""

VIETNAMESE_TEXT = """
nguyen tran le pham hoang huynh phan vu vo dang bui do ho ngo duong ly dinh trinh truong mai lam dao doan
"""
VIETNAMESE_SURNAMES = frozenset(VIETNAMESE_TEXT.split())
"""Without their marks; they stand first."""

PINYIN_TEXT = """
wang li zhang liu chen yang huang zhao wu zhou xu sun ma zhu hu guo he gao lin luo zheng liang xie song tang
feng deng cao peng zeng xiao tian dong yuan pan yu jiang cai du ye cheng su wei lu lyu ding ren shen yao cui
zhong tan fan jin shi liao jia xia fu fang bai zou meng xiong qin qiu hou yan xue lei long duan hao kong shao
qian tao shu ouyang mao qi ou chang wan dai hong zhuang ge lai
"""
PINYIN_SURNAMES = frozenset(PINYIN_TEXT.split())
"""Chinese surnames in Latin letters."""
