"""The receiver as a whole: what is configured, put together, run, and ended in order."""

import logging
import os
from functools import partial

from roadie.errors import RunError, TriggerError
from roadie.runs import Cluster, Engine, Here, StepImage
from roadie.triggers import logs, memory, secrets
from roadie.triggers.config import Config
from roadie.triggers.journal.database import claim
from roadie.triggers.journal.journal import Journal
from roadie.triggers.journal.recorder import Recorder
from roadie.triggers.metrics import Metrics
from roadie.triggers.page.routes import page_routes
from roadie.triggers.rules.arguments import load_targets
from roadie.triggers.web.app import create_app
from roadie.triggers.web.server import Server, bind
from roadie.triggers.work.alertmanager_api import AlertmanagerApi
from roadie.triggers.work.catching_up import catch_up
from roadie.triggers.work.worker import Worker

_log = logging.getLogger(__name__)


def listen(config: Config) -> None:
    """Receive events, and start and follow the runs that come of them, until SIGTERM or SIGINT.

    Args:
        config: From :func:`roadie.triggers.load`.

    Raises:
        TriggerError: the journal or the address cannot be used.
        UsageError: the engine cannot be used as configured.
    """
    logs.configure()
    memory.give_back()
    # What can fail at the start fails before anything is taken or begun.
    targets, engine = load_targets(config), engine_of(config)
    alerts = config.hooks.alertmanager
    api = AlertmanagerApi(config.alertmanager, alerts.never if alerts else ()) if config.alertmanager else None
    lock = claim(config.journal)
    journal, metrics = Journal(config.journal), Metrics()
    journal.check()
    listener = bind(config.listen)
    worker = Worker(config, journal, targets, engine, metrics)
    recorder = Recorder(journal, targets, metrics, accepted=worker.wake)
    app = create_app(
        config,
        recorder,
        metrics,
        checks={"journal": journal.check, "worker": worker.check},
        pages=page_routes(config, journal, lambda: worker.deployed),
    )

    beside = partial(catch_up, api.alerts, recorder, config.models) if api else None
    worker.start()
    try:
        Server(app, config.listen, metrics).answer_on(listener, beside)
    finally:
        recorder.close()
        worker.stop()
        journal.close()
        lock.close()


def engine_of(whole: Config) -> Engine:
    """Where runs happen: this machine, or a cluster. UsageError when that one cannot be used."""
    config = whole.runs
    if config.where == "here":
        return Here(config.state, secrets.without(whole, os.environ))
    secret = config.token

    def token() -> str:
        assert secret
        try:
            return secrets.read(secret)
        except TriggerError as error:
            raise RunError(str(error)) from None

    return Cluster(
        config.endpoint,
        namespace=config.namespace,
        experiment=config.experiment,
        service_account=config.service_account,
        step_image=StepImage(config.step_image, _log.info),
        token=token if secret else None,
        ca_file=config.ca_file,
    )
