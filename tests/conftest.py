"""What every test shares: reproducible, bounded property tests. Helpers live in tests/kit."""

from hypothesis import HealthCheck, settings

# No deadlines: a timed assert fails on a busy machine and says nothing about the code.
settings.register_profile(
    "mailio", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("thorough", parent=settings.get_profile("mailio"), max_examples=5_000)
settings.load_profile("mailio")
