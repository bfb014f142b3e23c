"""All settings; the only place that reads the environment. Each variable is explained in docs/reference/settings.md."""

from __future__ import annotations

import secrets
from pathlib import Path

from csp.constants import SELF

from config.env import BROKERS, POSTGRESQL, REDIS, WEB, WEBSOCKET, comma_list, env
from config.logs import without_link, without_trace
from core.bundled import Bundle

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.str("DATA_DIR", "") or BASE_DIR / "var").resolve()
BUNDLE = Bundle(DATA_DIR)

DEBUG = env.bool("DEBUG", False)
TIME_FACTOR = env.above_zero("TIME_FACTOR", 1.0)


def secret_made_once(name: str, size: int = 50) -> str:
    """A secret of the bundled mode: made at random at the first start and kept below the data folder, mode 0600."""
    path = DATA_DIR / "secrets" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f".{name}.{secrets.token_hex(4)}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(size))
        try:
            path.hardlink_to(fresh)  # the first process wins; the others read its value
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text()


DATABASE_URL = env.address("DATABASE_URL", schemes=POSTGRESQL)
REDIS_URL = env.address("REDIS_URL", schemes=REDIS) or BUNDLE.redis_url
SECRET_KEY = env.str("SECRET_KEY", "") or secret_made_once("django")
# The first encrypts, all decrypt.
FIELD_ENCRYPTION_KEYS = comma_list("FIELD_ENCRYPTION_KEYS") or [secret_made_once("fields")]
ALLOWED_HOSTS = comma_list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]", required=True)
CSRF_TRUSTED_ORIGINS = comma_list("CSRF_TRUSTED_ORIGINS")
CSRF_FAILURE_VIEW = "core.views.csrf_failure"

# Without "daphne", which only adds `runserver` and costs every process 15 MB and half a second.
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "channels",
    "rest_framework",
    "drf_standardized_errors",
    "django_celery_beat",
    "core",
    "accounts",
    "marketdata",
    "subscriptions",
    "alerts",
    "summaries",
    "dashboard",
]

MIDDLEWARE = [
    "core.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "core.middleware.DependencyDownMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"
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
                "dashboard.shell.shell",
            ],
        },
    },
]

# --- PostgreSQL: the truth. A pool per process; an open socket holds no connection.
# A server that vanished without a word is noticed within seconds, not when TCP gives up, which takes hours. (A Unix
# socket has no such options, and ignores them.)
DATABASE_KEEPALIVE = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
DATABASE_POOL = {"min_size": 0, "max_size": 20, "max_idle": 30, "timeout": 2}
if DATABASE_URL:
    _database = env.database("DATABASE_URL")
else:
    _database = {"ENGINE": "django.db.backends.postgresql", **BUNDLE.database_settings}
DATABASES = {
    "default": {
        **_database,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **DATABASE_KEEPALIVE,
            **_database.get("OPTIONS", {}),
            "connect_timeout": 2,
            "pool": DATABASE_POOL,
        },
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis: anything in it can vanish
REDIS_TIMEOUT_S = 2.0
CACHES = {
    "default": {
        "BACKEND": "core.redis.DegradingRedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "cache",
        "OPTIONS": {"socket_timeout": REDIS_TIMEOUT_S, "socket_connect_timeout": REDIS_TIMEOUT_S},
    },
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "core.channel_layer.FencedPubSubChannelLayer",
        # redis-py 8 ends a quiet socket after 5 s by default, and with it every idle WebSocket.
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}]},
    },
}

# --- Celery
CELERY_BROKER_URL = env.address("CELERY_BROKER_URL", schemes=BROKERS) or REDIS_URL.replace(
    "unix://", "redis+socket://", 1
)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Only the slow queue's worker can keep these, being made of processes. Nothing stops a thread: the tasks of the other
# queues end by the time-outs of what they ask (a provider 5 s, Redis 2 s) and else run short statements of SQL.
CELERY_TASK_TIME_LIMIT = 60
CELERY_TASK_SOFT_TIME_LIMIT = 50
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "marketdata.fetch_wanted": {"queue": "realtime"},
    "alerts.deliver": {"queue": "realtime"},
    "marketdata.load_*": {"queue": "slow"},
    "marketdata.delete_old": {"queue": "slow"},
    "core.clear_sessions": {"queue": "slow"},
    "alerts.sweep": {"queue": "realtime"},
    "alerts.delete_old": {"queue": "slow"},
    "summaries.load_*": {"queue": "slow"},
    "summaries.*_overnight": {"queue": "slow"},
    "summaries.check_models": {"queue": "slow"},
    "summaries.delete_old": {"queue": "slow"},
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A worker killed outright gives its task back only when these sweep, by default every 100 s;
# the visibility timeout stays above the longest task.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 120,
    "unacked_restore_interval": 1,
    "unacked_restore_throttle": 1,
    "global_keyprefix": "celery:",
}
CELERY_BEAT_SCHEDULER = "core.beat.LeasedScheduler"
CELERY_TIMEZONE = "UTC"

# --- Accounts
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_USERNAME_MIN_LENGTH = 3
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_FORMS = {"signup": "accounts.forms.SignupForm", "login": "accounts.forms.LoginForm"}
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "watchlist"
LOGOUT_REDIRECT_URL = "landing"
vars().update(env.mail("EMAIL_URL", "consolemail://"))

# --- Notifications
PUBLIC_URL = env.origin("PUBLIC_URL", "http://localhost:8000")
EGRESS_ALLOW = env.egress("EGRESS_ALLOW")
# 32 random bytes in base64 are a private key of the curve P-256 but for one time in four thousand million.
VAPID_PRIVATE_KEY = env.str("VAPID_PRIVATE_KEY", "") or secret_made_once("vapid", 32)
VAPID_SUBJECT = env.str("VAPID_SUBJECT", "")

# --- Market data
MARKETDATA_PROVIDERS = comma_list("MARKETDATA_PROVIDERS", "replay,simulator")
DEMO_SYMBOLS = comma_list("DEMO_SYMBOLS", "AAPL,MSFT,IBM,GOOG,SPY")
REPLAY_SPEED = env.float("REPLAY_SPEED", 1.0)
SIMULATOR_SEED = env.int("SIMULATOR_SEED", 1)
VENDOR_PLANS_FILE = env.str("VENDOR_PLANS_FILE", "")
ALPACA_KEY_ID = env.str("ALPACA_KEY_ID", "")
ALPACA_SECRET_KEY = env.str("ALPACA_SECRET_KEY", "")
ALPACA_DATA_URL = env.address("ALPACA_DATA_URL", "https://data.alpaca.markets", schemes=WEB)
ALPACA_STREAM_URL = env.address("ALPACA_STREAM_URL", "wss://stream.data.alpaca.markets", schemes=WEBSOCKET)
ALPACA_PLAN = env.str("ALPACA_PLAN", "basic")
MASSIVE_API_KEY = env.str("MASSIVE_API_KEY", "")
MASSIVE_URL = env.address("MASSIVE_URL", "https://api.massive.com", schemes=WEB)
MASSIVE_STREAM_URL = env.address("MASSIVE_STREAM_URL", "wss://socket.massive.com", schemes=WEBSOCKET)
MASSIVE_PLAN = env.str("MASSIVE_PLAN", "basic")
FINNHUB_API_KEY = env.str("FINNHUB_API_KEY", "")
FINNHUB_URL = env.address("FINNHUB_URL", "https://finnhub.io/api/v1", schemes=WEB)
FINNHUB_STREAM_URL = env.address("FINNHUB_STREAM_URL", "wss://ws.finnhub.io", schemes=WEBSOCKET)
FINNHUB_PLAN = env.str("FINNHUB_PLAN", "free")
ALPHA_VANTAGE_API_KEY = env.str("ALPHA_VANTAGE_API_KEY", "")
ALPHA_VANTAGE_URL = env.address("ALPHA_VANTAGE_URL", "https://www.alphavantage.co", schemes=WEB)
ALPHA_VANTAGE_PLAN = env.str("ALPHA_VANTAGE_PLAN", "free")
YAHOO_ENABLED = env.bool("YAHOO_ENABLED", False)
YAHOO_URL = env.address("YAHOO_URL", "https://query1.finance.yahoo.com", schemes=WEB)
YAHOO_COOKIE_URL = env.address("YAHOO_COOKIE_URL", "https://fc.yahoo.com", schemes=WEB)
YAHOO_STREAM_URL = env.address("YAHOO_STREAM_URL", "wss://streamer.finance.yahoo.com", schemes=WEBSOCKET)
VISITOR_CONNECTIONS = env.int("VISITOR_CONNECTIONS", 10_000)
MINUTE_BARS_DAYS = env.above_zero("MINUTE_BARS_DAYS", 30)
LEDGER_DAYS = env.above_zero("LEDGER_DAYS", 400)

# --- Language models
OPENAI_API_KEY = env.str("OPENAI_API_KEY", "")
OPENAI_BASE_URL = env.address("OPENAI_BASE_URL", "https://api.openai.com/v1", schemes=WEB)
LLM_VENDOR = env.str("LLM_VENDOR", "openai")
LLM_MODEL = env.str("LLM_MODEL", "gpt-6-luna")
LLM_BUDGET_USD = env.money("LLM_BUDGET_USD", "5.00")
NEWS_DAYS = env.above_zero("NEWS_DAYS", 90)

# --- API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.ApiKeyAuthentication",
        "core.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["core.json.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["core.json.JSONParser"],
    "EXCEPTION_HANDLER": "core.drf.exception_handler",
}

# --- Language and time
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# --- Static files: served by us, found where they lie; nothing is collected at start
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# --- Security headers
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "style-src": [SELF],
        "script-src": [SELF],
        "connect-src": [SELF],
        "frame-ancestors": ["'none'"],
        "form-action": [SELF],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# Behind TLS (HTTPS=1): secure cookies, HSTS, redirect; a proxy must set X-Forwarded-Proto.
HTTPS = env.bool("HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {
        "without_link": {"()": "django.utils.log.CallbackFilter", "callback": without_link},
        "without_trace": {"()": "django.utils.log.CallbackFilter", "callback": without_trace},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["without_link"]},
    },
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "daphne": {"level": "WARNING"},
        "django.security.DisallowedHost": {"filters": ["without_trace"]},
        # Both would tell addresses and headers, in which keys stand.
        "httpx2": {"level": "WARNING"},
        "httpcore2": {"level": "WARNING"},
        "openai": {"level": "WARNING"},
    },
}
