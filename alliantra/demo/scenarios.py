"""The companies that a demo can be: their products, partners, payees and agreements."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DemoProduct:
    """Something sold; `price` and its weight among the sales."""

    external_id: str
    name: str
    category: str
    price: str
    weight: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DemoPartner:
    """A partner and the payee it is paid through. `daily` sales a day, growing by `growth` percent a year."""

    external_id: str
    name: str
    type: str
    channel: str
    program: str
    region: str
    daily: float
    growth: int
    fades_days_ago: int | None = None


@dataclass(frozen=True, slots=True)
class DemoRule:
    """An agreement. `scope` names records by external id; `days_ago` places a window relative to today.

    With `tiers`, from and percentage of each band, the one payee's share is measured by month instead. `cap` is the
    most that each of its payees gets in a run.
    """

    external_id: str
    name: str
    priority: int
    shares: Mapping[str, str]
    scope: Mapping[str, tuple[str, ...]]
    from_days_ago: int | None = None
    until_days_ago: int | None = None
    tiers: tuple[tuple[str, str], ...] = ()
    cap: str | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One company."""

    slug: str
    name: str
    categories: tuple[tuple[str, str], ...]
    products: tuple[DemoProduct, ...]
    partners: tuple[DemoPartner, ...]
    house_payees: tuple[tuple[str, str, str], ...]
    rules: tuple[DemoRule, ...]


SAAS = Scenario(
    slug="northwind",
    name="Northwind Software",
    categories=(("saas_subscription", "SaaS Subscription"), ("services", "Services"), ("add_on", "Add-on")),
    products=(
        DemoProduct("sku_annual_pro", "Annual Pro Plan", "saas_subscription", "249.00", 30, ("annual",)),
        DemoProduct("sku_monthly_pro", "Monthly Pro Plan", "saas_subscription", "24.90", 50, ("monthly",)),
        DemoProduct("sku_team", "Team Plan", "saas_subscription", "79.00", 25, ("monthly",)),
        DemoProduct("sku_enterprise", "Enterprise Plan", "saas_subscription", "1890.00", 3, ("annual",)),
        DemoProduct("sku_storage", "Extra Storage", "add_on", "9.99", 35),
        DemoProduct("sku_onboarding", "Onboarding Package", "services", "640.00", 4),
    ),
    partners=(
        DemoPartner(
            "p_lighthouse", "Lighthouse Reviews", "affiliate", "content", "affiliates", "United Kingdom", 2.6, 20
        ),
        DemoPartner("p_bitpatrol", "BitPatrol", "affiliate", "content", "affiliates", "Germany", 1.9, 45),
        DemoPartner("p_dealhive", "DealHive", "affiliate", "coupon", "affiliates", "United States", 2.2, -15),
        DemoPartner("p_meadow", "Meadow Consulting", "agency", "direct", "agencies", "United Kingdom", 0.7, 10),
        DemoPartner("p_kestrel", "Kestrel Systems", "reseller", "direct", "resellers", "Netherlands", 0.9, 5),
        DemoPartner(
            "p_orchard", "Orchard Alliance", "strategic_alliance", "co-sell", "alliances", "United States", 0.4, 30
        ),
        DemoPartner("p_fern", "Fern & Daughters", "referral", "referral", "referrals", "Ireland", 0.5, 0),
        DemoPartner("p_vlog", "Vera Codes", "influencer", "video", "creators", "Spain", 1.1, 80),
        DemoPartner("p_sunset", "Sunset Media", "affiliate", "content", "affiliates", "France", 1.4, 0, 40),
    ),
    house_payees=(("house_referral", "Referral Pool", "company"), ("p_meadow_lead", "Ada Meadow", "individual")),
    rules=(
        DemoRule("affiliate_standard", "Affiliates 20 percent", 100, {"*": "20"}, {}),
        DemoRule(
            "reseller_margin",
            "Kestrel reseller tiers",
            120,
            {"p_kestrel": ""},
            {"partner_ids": ("p_kestrel",)},
            tiers=(("0", "25"), ("1000", "30"), ("2500", "35")),
        ),
        DemoRule(
            "meadow_split",
            "Meadow agency and lead consultant",
            120,
            {"p_meadow": "12.5", "p_meadow_lead": "2.5"},
            {"partner_ids": ("p_meadow",)},
        ),
        DemoRule(
            "creator_launch",
            "Vera Codes launch terms",
            130,
            {"p_vlog": "30"},
            {"partner_ids": ("p_vlog",)},
            until_days_ago=181,
        ),
        DemoRule(
            "creator_steady",
            "Vera Codes terms",
            130,
            {"p_vlog": "22"},
            {"partner_ids": ("p_vlog",)},
            from_days_ago=180,
        ),
        DemoRule(
            "enterprise_any",
            "Enterprise through any partner",
            140,
            {"house_referral": "4"},
            {"product_ids": ("sku_enterprise",)},
            cap="500",
        ),
        DemoRule(
            "services_none",
            "Services, referral pool only",
            150,
            {"house_referral": "5"},
            {"product_categories": ("services",)},
        ),
    ),
)

MARKETPLACE = Scenario(
    slug="harbour",
    name="Harbour Market",
    categories=(("craft", "Craft"), ("food", "Food and drink"), ("home", "Home")),
    products=(
        DemoProduct("sku_annual_pro", "Seller Pro Membership", "craft", "249.00", 6, ("membership",)),
        DemoProduct("mk_mug", "Stoneware Mug", "craft", "18.50", 60),
        DemoProduct("mk_honey", "Heather Honey", "food", "7.95", 80),
        DemoProduct("mk_throw", "Wool Throw", "home", "64.00", 30),
        DemoProduct("mk_lamp", "Driftwood Lamp", "home", "112.00", 14),
    ),
    partners=(
        DemoPartner("s_clay", "Clay & Co", "reseller", "marketplace", "sellers", "United Kingdom", 3.2, 15),
        DemoPartner("s_hive", "Moor Hives", "reseller", "marketplace", "sellers", "United Kingdom", 4.1, 25),
        DemoPartner("s_loom", "Loom House", "reseller", "marketplace", "sellers", "Ireland", 2.1, -10),
        DemoPartner("s_tide", "Tideline", "reseller", "marketplace", "sellers", "France", 1.3, 40),
        DemoPartner("s_moss", "Moss & Stone", "reseller", "marketplace", "sellers", "Germany", 1.6, 0, 35),
        DemoPartner("c_nell", "Nell Finds", "influencer", "video", "creators", "United Kingdom", 1.0, 60),
    ),
    house_payees=(("hb_carriage", "Harbour Carriage", "company"),),
    rules=(
        DemoRule("seller_share", "Sellers 82 percent", 100, {"*": "82"}, {}),
        DemoRule(
            "creator_share",
            "Creator tiers",
            120,
            {"c_nell": ""},
            {"partner_ids": ("c_nell",)},
            tiers=(("0", "8"), ("500", "10"), ("1500", "12")),
        ),
        DemoRule(
            "heavy_goods",
            "Home goods with carriage",
            110,
            {"*": "74", "hb_carriage": "8"},
            {"product_categories": ("home",)},
        ),
        DemoRule("membership", "Membership is ours", 200, {"hb_carriage": "1"}, {"product_tags": ("membership",)}),
    ),
)

AGENCY = Scenario(
    slug="tandem",
    name="Tandem Talent",
    categories=(("campaign", "Campaign"), ("licence", "Licence"), ("appearance", "Appearance")),
    products=(
        DemoProduct("sku_annual_pro", "Annual Licence", "licence", "249.00", 30),
        DemoProduct("tt_post", "Sponsored Post", "campaign", "850.00", 30),
        DemoProduct("tt_video", "Sponsored Video", "campaign", "2400.00", 12),
        DemoProduct("tt_evening", "Evening Appearance", "appearance", "1500.00", 5),
    ),
    partners=(
        DemoPartner("t_ines", "Ines Duarte", "influencer", "video", "talent", "Portugal", 0.6, 30),
        DemoPartner("t_omar", "Omar Haddad", "influencer", "audio", "talent", "United Kingdom", 0.5, 10),
        DemoPartner("t_june", "June Park", "influencer", "video", "talent", "United States", 0.9, 50),
        DemoPartner("t_rolf", "Rolf Brandt", "influencer", "social", "talent", "Germany", 0.4, -20, 45),
        DemoPartner("t_gale", "Gale Brothers", "agency", "social", "studios", "Ireland", 0.5, 0),
    ),
    house_payees=(("tt_scout", "Scout Network", "company"),),
    rules=(
        DemoRule("talent_share", "Talent 70, scout 10", 100, {"*": "70", "tt_scout": "10"}, {}),
        DemoRule(
            "studio_share",
            "Gale Brothers studio tiers",
            120,
            {"t_gale": ""},
            {"partner_ids": ("t_gale",)},
            tiers=(("0", "70"), ("5000", "75")),
        ),
        DemoRule("appearances", "Appearances", 130, {"*": "80"}, {"product_categories": ("appearance",)}),
    ),
)

SCENARIOS: Mapping[str, Scenario] = {"saas": SAAS, "marketplace": MARKETPLACE, "agency": AGENCY}
