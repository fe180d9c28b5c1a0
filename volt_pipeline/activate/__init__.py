"""Writing Volt: plans are pure, pushes are thin. Knows no database."""
