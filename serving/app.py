"""The application: resources, errors, keys, documentation. Built by a function; nothing happens at import."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, License, SecurityScheme, Tag

from feature_store.online import ProfileReader, packaged_schema
from serving.api.agents.agents import AGENT_ROUTES
from serving.api.agents.invitations import INVITATION_ROUTES
from serving.api.agents.scenes import SCENE_ROUTES
from serving.api.approvals.approval_batches import APPROVAL_BATCH_ROUTES
from serving.api.approvals.approvals import APPROVAL_ROUTES
from serving.api.approvals.product_matches import post_undo
from serving.api.audit import list_audit_log
from serving.api.channels.channel_requests import CHANNEL_REQUEST_ROUTES
from serving.api.channels.channels import CHANNEL_ROUTES, notices_router
from serving.api.channels.misfits import MISFIT_ROUTES
from serving.api.channels.payments import PAYMENT_ROUTES
from serving.api.channels.reconciliation import RECONCILIATION_ROUTES
from serving.api.documentation import OfflineDocumentation, documentation_router, openapi_document
from serving.api.feeds.competitor_prices import post_competitor_prices
from serving.api.feeds.events import post_events
from serving.api.feeds.observations import post_observations
from serving.api.growth.agent_suggestions import get_agent_suggestions
from serving.api.growth.channel_tests import CHANNEL_TEST_ROUTES
from serving.api.growth.communities import COMMUNITY_ROUTES
from serving.api.growth.experiments import EXPERIMENT_ROUTES
from serving.api.growth.feedback import FEEDBACK_ROUTES
from serving.api.growth.journey_work import JOURNEY_WORK_ROUTES
from serving.api.growth.journeys import JOURNEY_ROUTES
from serving.api.growth.links import LINK_ROUTES, redirect_router
from serving.api.growth.materials import MATERIAL_ROUTES
from serving.api.growth.members import MEMBER_ROUTES
from serving.api.growth.promotions import PROMOTION_ROUTES
from serving.api.growth.reviews import REVIEW_ROUTES
from serving.api.growth.trainings import TRAINING_ROUTES
from serving.api.health import live, metrics, ready
from serving.api.money.calendar import CALENDAR_ROUTES
from serving.api.money.debts import DEBT_ROUTES
from serving.api.money.fees import FEE_ROUTES
from serving.api.money.guarantees import GUARANTEE_ROUTES
from serving.api.money.ledger import LEDGER_ROUTES
from serving.api.money.plans import PLAN_ROUTES
from serving.api.money.points import POINTS_ROUTES
from serving.api.money.settlements import SETTLEMENT_ROUTES
from serving.api.money.statements import STATEMENT_ROUTES
from serving.api.money.withholdings import list_withholdings
from serving.api.orders.after_sales import AFTER_SALE_ROUTES
from serving.api.orders.catalogue import CATALOGUE_ROUTES
from serving.api.orders.coupons import COUPON_ROUTES
from serving.api.orders.delivery_routes import plan_delivery_routes
from serving.api.orders.fulfilment import FULFILMENT_ROUTES
from serving.api.orders.loss_budgets import LOSS_BUDGET_ROUTES
from serving.api.orders.nearby_stores import NEARBY_ROUTES
from serving.api.orders.offers import OFFER_ROUTES
from serving.api.orders.orders import ORDER_ROUTES
from serving.api.orders.purchases import PURCHASE_ROUTES
from serving.api.orders.stock import STOCK_ROUTES
from serving.api.orders.stock_pushes import PUSH_SOURCE_ROUTES, pushes_router
from serving.api.orders.transfers import TRANSFER_ROUTES
from serving.api.orders.webhooks import WEBHOOK_ROUTES
from serving.api.people.consumer_decisions import CONSUMER_DECISION_ROUTES
from serving.api.people.identity import IDENTITY_ROUTES
from serving.api.quality.brake import QUALITY_ROUTES
from serving.api.quality.supervision import SUPERVISION_ROUTES
from serving.api.retries import RetryLost
from serving.api.scores.assortment import ASSORTMENT_ROUTES
from serving.api.scores.clearance import get_clearance_warnings
from serving.api.scores.consumers import get_rebuy_reminders
from serving.api.scores.grade_history import get_grade_changes
from serving.api.scores.grades import get_channel_scores, get_supplier_grades
from serving.api.scores.price_approvals import ask_prices
from serving.api.scores.prices import get_price, list_prices
from serving.api.scores.profiles import PROFILE_ROUTES
from serving.api.scores.publications import get_current_publication, list_publications
from serving.api.scores.recommendations import get_recommendations
from serving.api.scores.reorder import get_reorder_suggestions
from serving.api.scores.resilience import RESILIENCE_ROUTES
from serving.api.scores.segments import SEGMENT_ROUTES
from serving.api.scores.wakeup import get_wakeup_list
from serving.api.watch.alarms import ALARM_ROUTES
from serving.api.watch.parcels import get_parcel_record
from serving.db.operations import Operations
from serving.db.pool import Pool
from serving.delivery_routes.planner import Planner
from serving.observability import Metrics, RequestContext, configure_logging
from serving.orders.clock import BusinessClock
from serving.privacy.data_keys import Vault
from serving.problems import exception_handlers
from serving.rate_limit import RateLimiter
from serving.scores.profile_cache import ProfileCaches
from serving.scores.standing import StandingReader
from serving.security import Authenticator, require_scope
from serving.settings import Settings

_DESCRIPTION = """\
Published prices, reorder suggestions, recommendations, wake-up lists and profiles; orders, payment channels,
settlement and what waits for a second person.

* Every scored answer names the published version it comes from, in `publication_version` and in the header
  `muyun-publication`; one answer never mixes versions.
* Keys go into `X-API-Key` or `Authorization: Bearer`. A key has scopes and may belong to one party.
* Errors are `application/problem+json` (RFC 9457) with a `request_id`.
* Lists are read page by page: hand `next_cursor` back as `cursor`.
* Money is in minor units (`_cents`), times are UTC (`_at`, `as_of`), days are dates (`_on`).
"""


def create_app(settings: Settings, url: str, profile_reader: ProfileReader | None = None) -> Litestar:
    """The API over one database.

    Args:
        settings: Limits, pool size, clock.
        url: Address of the migrated database.
        profile_reader: Reader of profile documents; None takes the tag schema that this release ships.
    """
    configure_logging(settings.log_level)
    collected = Metrics()

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        pool = Pool(url, size=settings.pool_size, timeout_s=settings.db_timeout_s)
        app.state.pool = pool
        replica = None
        if settings.database_read_url is not None:
            replica = Pool(
                settings.database_read_url, size=settings.pool_size, timeout_s=settings.db_timeout_s
            )
        app.state.score_pool = replica or pool
        profiles = ProfileCaches(pool, most_bytes=settings.profile_cache_mb * 2**20)
        app.state.profile_caches = profiles
        app.state.authenticator = Authenticator(pool, settings)
        operations = Operations(
            url,
            size=settings.pool_size,
            timeout_s=settings.db_timeout_s,
            statement_timeout_s=settings.statement_timeout_s,
            lock_timeout_s=settings.lock_timeout_s,
        )
        operations.open()
        app.state.operations = operations
        app.state.vault = Vault.of(settings)
        planner = Planner()
        app.state.route_planner = planner
        app.state.notice_limiter = RateLimiter()
        app.state.link_limiter = RateLimiter()
        app.state.clock = BusinessClock(settings)
        app.state.standing = StandingReader(
            replica or pool,
            settings.tenant,
            lambda behind: app.state.clock.after(behind, settings.tenant),
        )
        # A full collection need not walk what lives as long as the process: it costs milliseconds.
        gc.collect()
        gc.freeze()
        try:
            yield
        finally:
            gc.unfreeze()
            planner.close()
            await profiles.stop()
            operations.close()
            await pool.close()
            if replica is not None:
                await replica.close()

    scored = Router(
        "/v1",
        route_handlers=[
            get_recommendations,
            ask_prices,
            get_price,
            list_prices,
            get_reorder_suggestions,
            get_clearance_warnings,
            get_supplier_grades,
            get_channel_scores,
            get_grade_changes,
            *RESILIENCE_ROUTES,
            *ASSORTMENT_ROUTES,
            get_wakeup_list,
            *PROFILE_ROUTES,
            get_rebuy_reminders,
            get_current_publication,
            list_publications,
            list_audit_log,
            post_undo,
            *APPROVAL_ROUTES,
            *APPROVAL_BATCH_ROUTES,
            *SEGMENT_ROUTES,
            *CONSUMER_DECISION_ROUTES,
            *IDENTITY_ROUTES,
            post_competitor_prices,
            *SETTLEMENT_ROUTES,
            *STATEMENT_ROUTES,
            *RECONCILIATION_ROUTES,
            *LEDGER_ROUTES,
            *FEE_ROUTES,
            *GUARANTEE_ROUTES,
            *DEBT_ROUTES,
            list_withholdings,
            *CALENDAR_ROUTES,
            *PLAN_ROUTES,
            post_events,
            post_observations,
            *AGENT_ROUTES,
            *INVITATION_ROUTES,
            *SCENE_ROUTES,
            *CATALOGUE_ROUTES,
            *LOSS_BUDGET_ROUTES,
            *OFFER_ROUTES,
            *ORDER_ROUTES,
            *POINTS_ROUTES,
            *COUPON_ROUTES,
            *PROMOTION_ROUTES,
            *COMMUNITY_ROUTES,
            *PAYMENT_ROUTES,
            *CHANNEL_ROUTES,
            *CHANNEL_REQUEST_ROUTES,
            *MISFIT_ROUTES,
            *FULFILMENT_ROUTES,
            plan_delivery_routes,
            *STOCK_ROUTES,
            *PUSH_SOURCE_ROUTES,
            *NEARBY_ROUTES,
            *PURCHASE_ROUTES,
            *TRANSFER_ROUTES,
            *AFTER_SALE_ROUTES,
            *WEBHOOK_ROUTES,
            *QUALITY_ROUTES,
            *SUPERVISION_ROUTES,
            *EXPERIMENT_ROUTES,
            *FEEDBACK_ROUTES,
            *JOURNEY_ROUTES,
            *JOURNEY_WORK_ROUTES,
            *CHANNEL_TEST_ROUTES,
            *LINK_ROUTES,
            *MEMBER_ROUTES,
            *REVIEW_ROUTES,
            *TRAINING_ROUTES,
            get_agent_suggestions,
            *MATERIAL_ROUTES,
            *ALARM_ROUTES,
            get_parcel_record,
        ],
        guards=[require_scope],
        security=[{"apiKey": []}, {"bearer": []}],
    )
    app = Litestar(
        route_handlers=[
            scored,
            notices_router(),
            pushes_router(),
            redirect_router(),
            openapi_document,
            live,
            ready,
            metrics,
        ],
        exception_handlers=exception_handlers(),
        lifespan=[lifespan],
        openapi_config=_openapi_config(),
        state=State(
            {
                "settings": settings,
                "metrics": collected,
                "profile_reader": profile_reader or ProfileReader(packaged_schema()),
            }
        ),
        logging_config=None,
        debug=False,
    )
    # Outside of everything, so that unknown paths have a request id and a log line as well.
    app.asgi_handler = RequestContext(RetryLost(app.asgi_handler, collected), collected)
    return app


def _openapi_config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Muyun",
        version=version("muyun"),
        description=_DESCRIPTION,
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        openapi_router=documentation_router(),
        render_plugins=[OfflineDocumentation(path="/")],
        use_handler_docstrings=True,
        tags=[
            Tag(name="Recommendations"),
            Tag(name="Prices"),
            Tag(name="Replenishment"),
            Tag(name="Supply", description="How good suppliers are, and what stops them."),
            Tag(name="Lifecycle"),
            Tag(name="Consumers"),
            Tag(name="Publications"),
            Tag(name="Settlement"),
            Tag(name="Reconciliation"),
            Tag(name="Ledger"),
            Tag(name="Fees"),
            Tag(name="Approvals", description="What two people decide; nobody decides what they asked for."),
            Tag(name="Audit"),
            Tag(name="Events"),
            Tag(name="Orders"),
            Tag(name="Coupons"),
            Tag(name="Channels"),
            Tag(name="Fulfilment"),
            Tag(name="Purchasing"),
            Tag(name="Transfers"),
            Tag(name="After-sale"),
            Tag(name="Webhooks"),
            Tag(name="Quality", description="The quality brake: what it holds, why, and what releases it."),
            Tag(name="Growth", description="Journeys and experiments: what is tried, and whether it helped."),
            Tag(name="Agents"),
            Tag(name="Operations", description="Without a key."),
        ],
        components=Components(
            security_schemes={
                "apiKey": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header"),
                "bearer": SecurityScheme(type="http", scheme="bearer"),
            }
        ),
    )
