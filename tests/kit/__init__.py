"""The test kit: real parts made small (links, clocks, homes); no mocks and no tests live here."""
