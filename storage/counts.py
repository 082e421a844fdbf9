"""The columns that count, of the two tables that have such."""

from inventory.outcomes import Counts
from inventory.portfolio import PortfolioCounts

COUNT_NAMES: tuple[str, ...] = tuple(Counts.model_fields)
PORTFOLIO_COUNT_NAMES: tuple[str, ...] = tuple(PortfolioCounts.model_fields)
