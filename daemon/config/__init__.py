"""What the daemon is told: settings, catalog file, logging. Only this package reads the variables `RESETD_*`."""
