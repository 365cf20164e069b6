"""The one settings module, read top to bottom; every variable it reads is listed in .env.example."""

from pathlib import Path
from typing import Any

import psycopg.conninfo
import structlog
from django.core.exceptions import ImproperlyConfigured

from alliantra import env
from alliantra.encryption import InvalidKeyRing, KeyRing

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("DATA_DIR", str(BASE_DIR / ".data"))).resolve()

# -- Environment ---------------------------------------------------------------------------------

ENVIRONMENT = env.choice("ENVIRONMENT", ["local", "development", "staging", "production"], "local")
IS_LOCAL = ENVIRONMENT == "local"
DEBUG = False
SECRET_KEY = env.required("SECRET_KEY")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ["*"] if IS_LOCAL else [])
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
TRUSTED_PROXIES = env.integer("TRUSTED_PROXIES", 0)


def _key_ring(text: str) -> KeyRing:
    """What secrets are encrypted under at rest; what is wrong with a ring is said without showing a key."""
    try:
        return KeyRing.parse(text)
    except InvalidKeyRing as error:
        message = f"ENCRYPTION_KEYS cannot be read: {error}"
        raise ImproperlyConfigured(message) from None


ENCRYPTION_KEYS = _key_ring(env.required("ENCRYPTION_KEYS"))

# -- Applications --------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "alliantra",
    "alliantra.workspaces",
    "webhooks",
    "partners",
    "revenues",
    "rules",
    "reports",
    "alliantra.workspaces.console.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "alliantra.api.middleware.RequestContextMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "alliantra.api.middleware.RequestLimitsMiddleware",
    "alliantra.workspaces.console.middleware.ConsoleSessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "alliantra.workspaces.console.middleware.ConsoleAuthenticationMiddleware",
    "alliantra.workspaces.console.middleware.ConsoleMessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "alliantra.urls"
WSGI_APPLICATION = "alliantra.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# -- PostgreSQL and Redis ------------------------------------------------------------------------


def _database(url: str) -> dict[str, Any]:
    """Django's connection settings from a libpq URL."""
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        message = f"DATABASE_URL cannot be read: {error}"
        raise ImproperlyConfigured(message) from error
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    return {
        "ENGINE": "alliantra.database",
        **{names[key]: value for key, value in parts.items() if key in names},
        "OPTIONS": {key: value for key, value in parts.items() if key not in names},
        "ATOMIC_REQUESTS": True,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


DATABASES = {"default": _database(env.required("DATABASE_URL"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.required("REDIS_URL")
REDIS_TIMEOUT_SECONDS = 0.5

# -- People --------------------------------------------------------------------------------------

AUTH_USER_MODEL = "workspaces.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = not IS_LOCAL
CSRF_COOKIE_SECURE = not IS_LOCAL
CSRF_COOKIE_SAMESITE = "Lax"

# -- Console -------------------------------------------------------------------------------------

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Alliantra",
    "SITE_HEADER": "Alliantra",
    "SITE_SYMBOL": "hub",
    "SITE_URL": None,
    "SHOW_HISTORY": "alliantra.workspaces.console.menu.shows_history",
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "alliantra.workspaces.console.home.home",
    "SITE_FAVICONS": [{"rel": "icon", "href": "alliantra.workspaces.console.menu.favicon"}],
    "STYLES": ["alliantra.workspaces.console.menu.stylesheet"],
    "SCRIPTS": ["alliantra.workspaces.console.menu.script"],
    "BORDER_RADIUS": "6px",
    "SIDEBAR": {"navigation": "alliantra.workspaces.console.menu.navigation"},
}

# -- Transport -----------------------------------------------------------------------------------

SECURE_SSL_REDIRECT = not IS_LOCAL
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_HSTS_SECONDS = 0 if IS_LOCAL else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not IS_LOCAL
SECURE_HSTS_PRELOAD = not IS_LOCAL
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# -- Language, time, files -----------------------------------------------------------------------

LANGUAGE_CODE = "en-gb"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
if IS_LOCAL:
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)
WHITENOISE_USE_FINDERS = True

# -- HTTP API ------------------------------------------------------------------------------------

RATE_LIMIT_PER_MINUTE = env.integer("RATE_LIMIT_PER_MINUTE", 30_000)
BODY_LIMIT_BYTES = 1_000_000
BATCH_BODY_LIMIT_BYTES = 5_000_000
IMPORT_BODY_LIMIT_BYTES = 50_000_000
"""Of a file; what surrounds it in the body may have BODY_LIMIT_BYTES more."""
FILE_BODY_PATHS = ("/v1/partners/import",)
"""Where the body itself is a file, of up to IMPORT_BODY_LIMIT_BYTES."""
IMPORT_FILE_DAYS = env.integer("IMPORT_FILE_DAYS", 90, minimum=1)
REPORT_DAYS = env.integer("REPORT_DAYS", 400, minimum=1)
DATA_UPLOAD_MAX_MEMORY_SIZE = None
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000
URL_LIMIT_CHARACTERS = 4_096
QUERY_PARAMETER_LIMIT = 100
IDEMPOTENCY_HOURS = 24

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["alliantra.api.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["alliantra.api.permissions.ResourcePermission"],
    "DEFAULT_PARSER_CLASSES": ["alliantra.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["alliantra.api.renderers.ExactJSONRenderer"],
    "DEFAULT_THROTTLE_CLASSES": ["alliantra.api.throttling.ApiKeyThrottle"],
    "DEFAULT_SCHEMA_CLASS": "alliantra.api.schema.SurfaceSchema",
    "EXCEPTION_HANDLER": "alliantra.api.errors.problem_response",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "OAS_VERSION": "3.1.0",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SORT_OPERATIONS": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": [],
}

# -- Celery (started by alliantra/celery.py) -----------------------------------------------------

CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3_600,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    # Waking a worker is tried once more at once, then left to the sweep: a request never waits for Redis.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {"webhooks.tasks.send_deliveries": {"queue": "webhooks"}}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "run" / "beat-schedule")
# A message that waited longer than its period has a younger one behind it.
CELERY_BEAT_SCHEDULE = {
    "workers.heartbeat": {
        "task": "alliantra.workspaces.tasks.record_heartbeat",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "runs.sweep": {"task": "rules.tasks.sweep_runs", "schedule": 10.0, "options": {"expires": 10}},
    "imports.sweep": {"task": "revenues.tasks.sweep_imports", "schedule": 10.0, "options": {"expires": 10}},
    "partner_imports.sweep": {
        "task": "partners.tasks.sweep_partner_imports",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "partner_imports.forgotten": {
        "task": "partners.tasks.cancel_forgotten_partner_imports",
        "schedule": 3_600.0,
        "options": {"expires": 3600},
    },
    "imports.purge": {"task": "revenues.tasks.purge_import_files", "schedule": 3_600.0, "options": {"expires": 3600}},
    # In a queue of their own, so that no calculation keeps them waiting.
    "webhooks.sweep": {
        "task": "webhooks.tasks.send_deliveries",
        "schedule": 5.0,
        "options": {"expires": 5, "queue": "webhooks"},
    },
    "reports.sweep": {"task": "reports.tasks.sweep_reports", "schedule": 10.0, "options": {"expires": 10}},
    "reports.schedules": {"task": "reports.tasks.run_report_schedules", "schedule": 30.0, "options": {"expires": 30}},
    "reports.mails": {"task": "reports.tasks.send_report_mails", "schedule": 10.0, "options": {"expires": 10}},
    "reports.refresh": {"task": "reports.tasks.refresh_reports", "schedule": 3_600.0, "options": {"expires": 3600}},
    "reports.purge": {"task": "reports.tasks.purge_reports", "schedule": 3_600.0, "options": {"expires": 3600}},
    "webhooks.retention": {
        "task": "webhooks.tasks.forget_old_messages",
        "schedule": 3_600.0,
        "options": {"expires": 3600},
    },
    "rollups.fold": {"task": "revenues.tasks.fold_rollups", "schedule": 60.0, "options": {"expires": 60}},
    "conversions.waiting": {
        "task": "revenues.tasks.convert_waiting",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "attribution.credits": {"task": "revenues.tasks.attribute_revenue", "schedule": 5.0, "options": {"expires": 5}},
    "attribution.sales": {"task": "revenues.tasks.look_for_sales", "schedule": 60.0, "options": {"expires": 60}},
    "ledger.marks": {"task": "revenues.tasks.set_ledger_marks", "schedule": 300.0, "options": {"expires": 300}},
    "costs.allocations": {
        "task": "reports.tasks.refresh_allocation_costs",
        "schedule": 900.0,
        "options": {"expires": 900},
    },
    "partners.evaluate": {
        "task": "reports.tasks.evaluate_partners",
        "schedule": 900.0,
        "options": {"expires": 900},
    },
    "idempotency.purge": {
        "task": "alliantra.workspaces.tasks.purge_idempotency",
        "schedule": 3_600.0,
        "options": {"expires": 3600},
    },
}

# -- Webhooks, mail ------------------------------------------------------------------------------

WEBHOOK_PRIVATE_TARGETS = IS_LOCAL and env.boolean("WEBHOOK_PRIVATE_TARGETS", default=False)
WEBHOOK_ALLOWED_NETWORKS = env.words("WEBHOOK_ALLOWED_NETWORKS")
WEBHOOK_MESSAGE_DAYS = env.integer("WEBHOOK_MESSAGE_DAYS", 90, minimum=1)
EMAIL_HOST = env.text("EMAIL_HOST")
EMAIL_PORT = env.integer("EMAIL_PORT", 587)
EMAIL_HOST_USER = env.text("EMAIL_USER")
EMAIL_HOST_PASSWORD = env.text("EMAIL_PASSWORD")
EMAIL_USE_TLS = True
EMAIL_TIMEOUT = 10
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", "alliantra@localhost")

# -- Logs ----------------------------------------------------------------------------------------

LOG_LEVEL = env.text("LOG_LEVEL", "INFO")
_SHARED_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
]
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.JSONRenderer(),
            "foreign_pre_chain": _SHARED_PROCESSORS,
        },
    },
    "handlers": {"stdout": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stdout"], "level": LOG_LEVEL},
    "loggers": {
        "django.server": {"handlers": ["stdout"], "propagate": False},
        "django.request": {"level": "ERROR"},
    },
}
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_SHARED_PROCESSORS,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
