"""Who may do what, where: users, workspaces, memberships, API keys, the audit log and stored answers."""

from datetime import date, datetime
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo, available_timezones

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.timezone import now as current_time

from alliantra.change_times import ChangeTimeField, TimedModel, TimedQuerySet
from alliantra.fields import CurrencyField, uuid7
from alliantra.workspaces.permissions import ROLES, unknown


class UserManager(BaseUserManager["User"]):
    """Creates people by e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Save a person; without a password nobody can sign in as them."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Save an operator of the installation."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """One row: a person who can sign in to the console."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField("operator", default=False, help_text="Operates the installation itself.")
    date_joined = models.DateTimeField(default=current_time, editable=False)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]
    objects = UserManager()

    def __str__(self) -> str:
        return self.name or self.email

    def get_full_name(self) -> str:
        """Name, as Django asks for it."""
        return str(self)


class Environment(models.TextChoices):
    """What a workspace is for; production, staging and development never share a row."""

    PRODUCTION = "production"
    STAGING = "staging"
    DEVELOPMENT = "development"


KEY_PREFIXES = {Environment.PRODUCTION: "live", Environment.STAGING: "stag", Environment.DEVELOPMENT: "dev"}


def validate_timezone(name: str) -> None:
    """Refuse what the IANA time zone database does not know."""
    if name not in available_timezones() - {"localtime"}:
        message = f"{name} is not a time zone of the IANA database, such as Europe/London."
        raise ValidationError(message)


FIRST_CATEGORIES = (
    ("saas_subscription", "SaaS Subscription"),
    ("digital_product", "Digital Product"),
    ("physical_product", "Physical Product"),
    ("service", "Service"),
    ("add_on", "Add-on"),
)
"""Name and label of the product categories that a workspace starts with; its settings keep its own."""


class Workspace(models.Model):
    """One row: a tenant in one environment. Every other row belongs to one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=60)
    environment = models.CharField(max_length=12, choices=Environment.choices, default=Environment.PRODUCTION)
    name = models.CharField(max_length=200)
    base_currency = CurrencyField()
    timezone = models.CharField(max_length=64, default="UTC", validators=[validate_timezone])
    settings = models.JSONField(default=dict, blank=True)
    is_demo = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(default=current_time, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["slug", "environment"], name="workspace_slug_environment"),
        ]
        ordering = ("slug", "environment")

    def __str__(self) -> str:
        return f"{self.name} ({self.environment})"

    @cached_property
    def zone(self) -> ZoneInfo:
        """Time zone in which this workspace's days begin and end."""
        return ZoneInfo(self.timezone)

    @property
    def category_options(self) -> list[dict[str, str]]:
        """Product categories as `[{name, label}]`, in the order of the settings."""
        return list(self.settings.get("product_categories", []))

    @property
    def allows_self_approval(self) -> bool:
        """Whether who asked for a calculation may approve it."""
        return self.settings.get("self_approval", False) is True

    def day_start(self, day: date) -> datetime:
        """First moment of `day` in this workspace's time zone."""
        return datetime(day.year, day.month, day.day, tzinfo=self.zone)


class WorkspaceQuerySet(TimedQuerySet):
    """Reads that start at a workspace."""

    def in_workspace(self, workspace: Workspace) -> Self:
        """Rows of one workspace."""
        return self.filter(workspace=workspace)


class WorkspaceModel(TimedModel):
    """Base of every tenant table. Every constraint and index of a subclass begins with `workspace`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, db_index=False, related_name="+", editable=False)
    created_at = models.DateTimeField(default=current_time, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        abstract = True


class Role(models.TextChoices):
    """What a member is there for; permissions.ROLES says what each may do."""

    OWNER = "owner"
    PARTNER_MANAGER = "partner_manager"
    FINANCE_OPERATOR = "finance_operator"
    REVIEWER = "reviewer"
    DEVELOPER = "developer"
    VIEWER = "viewer"


class Membership(WorkspaceModel):
    """One row: a person's role in one workspace."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "user"], name="membership_user"),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.get_role_display()}"

    @property
    def permissions(self) -> frozenset[str]:
        """Permissions of the role."""
        return ROLES[self.role]


def validate_permissions(permissions: list[str]) -> None:
    """Refuse permissions that are not in the vocabulary."""
    if strangers := unknown(permissions):
        message = f"Unknown permissions: {', '.join(strangers)}."
        raise ValidationError(message)


def validate_networks(networks: list[str]) -> None:
    """Refuse what is no IPv4 or IPv6 network."""
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            message = f"{network} is not a network such as 203.0.113.0/24 or 2001:db8::/32."
            raise ValidationError(message) from error


class ApiKey(WorkspaceModel):
    """One row: a credential of one workspace. The key itself is shown once and stored as SHA-256."""

    name = models.CharField(max_length=100)
    key_set = models.CharField(max_length=100, blank=True, help_text="Label per integration or team.")
    public_id = models.CharField(max_length=8, unique=True, editable=False)
    digest = models.BinaryField(max_length=32, editable=False)
    permissions = ArrayField(models.CharField(max_length=40), validators=[validate_permissions])
    environment = models.CharField(max_length=12, choices=Environment.choices, editable=False)
    allowed_networks = ArrayField(
        models.CharField(max_length=43),
        default=list,
        blank=True,
        validators=[validate_networks],
        help_text="CIDR networks the key may be used from; empty allows any.",
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, db_index=False, related_name="+", editable=False
    )

    class Meta:
        verbose_name = "API key"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at"], name="apikey_created"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def prefix(self) -> str:
        """The part of the key that may be shown: environment and public id."""
        return f"alli_{KEY_PREFIXES[Environment(self.environment)]}_{self.public_id}"

    def is_usable(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def allows_address(self, address: str) -> bool:
        """Whether a client at `address` may use this key."""
        if not self.allowed_networks:
            return True
        client = ip_address(address)
        mapped = getattr(client, "ipv4_mapped", None) or client
        return any(mapped in ip_network(network) for network in self.allowed_networks)


class AuditEntry(WorkspaceModel):
    """One row: one change, by whom, from where, before and after. Append-only by trigger."""

    created_at = ChangeTimeField(default=current_time, editable=False)
    updated_at = None  # type: ignore[assignment]
    actor_kind = models.CharField(max_length=12)
    actor_id = models.UUIDField(null=True)
    actor_name = models.CharField(max_length=200)
    address = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=100, blank=True)
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=40, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    object_name = models.CharField(max_length=255, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="audit_created"),
            models.Index(fields=["workspace", "object_type", "object_id"], name="audit_object"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_name}"


class StoredAnswer(WorkspaceModel):
    """One row: the answer given to one Idempotency-Key, replayed to the same request within 24 hours."""

    updated_at = None  # type: ignore[assignment]
    key = models.CharField(max_length=255)
    fingerprint = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.BinaryField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "key"], name="storedanswer_key"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at"], name="storedanswer_created"),
        ]

    def __str__(self) -> str:
        return self.key


class Heartbeat(models.Model):
    """One row: when a worker of one queue was last seen alive."""

    queue = models.CharField(max_length=40, primary_key=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.queue
