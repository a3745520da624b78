"""What the receiver tells Prometheus. Labels are words of ours and configured names, so that their number is small."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# A stored event costs one fsync: a millisecond on an SSD, tens of them on a busy network disk.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The receiver's counters, in a registry of their own. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(name, meaning, labels, registry=registry)

        self._received = counter("roadie_events_received", "Events received, duplicates among them.", "source")
        self._duplicate = counter("roadie_events_duplicate", "Events that had been received before.", "source")
        self._truncated = counter("roadie_alerts_truncated", "Alerts that Alertmanager left out of its messages.")
        self._held_back = counter("roadie_events_held_back", "Events that start no run, by reason.", "model", "code")
        self._started = counter("roadie_runs_started", "Runs created.", "model")
        self._ended = counter("roadie_runs_ended", "Runs that came to an end, by final state.", "model", "state")
        self._refused = counter("roadie_requests_refused", "Requests to hooks that were refused.", "source", "status")
        self._waiting = Gauge("roadie_queue_waiting", "Runs that are accepted and not started.", registry=registry)
        self._age = Gauge("roadie_queue_age_seconds", "How long the first of them has waited.", registry=registry)
        self._stored = Histogram(
            "roadie_store_seconds", "From an event's arrival to its being on disk.", buckets=_SECONDS, registry=registry
        )

    def received(self, source: str) -> None:
        """An event came."""
        self._received.labels(source).inc()

    def duplicate(self, source: str) -> None:
        """An event came that is in the journal already."""
        self._duplicate.labels(source).inc()

    def truncated(self, count: int) -> None:
        """A message said that it leaves out `count` alerts."""
        self._truncated.inc(count)

    def held_back(self, model: str, code: str) -> None:
        """An event starts no run of the model; `code` is that of the verdict."""
        self._held_back.labels(model, code).inc()

    def started(self, model: str) -> None:
        """A run was created."""
        self._started.labels(model).inc()

    def ended(self, model: str, state: str) -> None:
        """A run ended: succeeded, failed or canceled."""
        self._ended.labels(model, state).inc()

    def waiting(self, count: int, oldest_seconds: float) -> None:
        """So many intents wait to be started now, the first of them for so long."""
        self._waiting.set(count)
        self._age.set(oldest_seconds)

    def stored(self, seconds: float) -> None:
        """Storing a message's events took so long."""
        self._stored.observe(seconds)

    def refused(self, source: str, status: int) -> None:
        """A request to a hook was answered with an error."""
        self._refused.labels(source, str(status)).inc()

    def render(self) -> bytes:
        """All of it in Prometheus' text format (:data:`CONTENT_TYPE`)."""
        return generate_latest(self._registry)
