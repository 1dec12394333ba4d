// Weirbench is the command of the package bench: it measures what weir costs beside a reverse proxy and prints the report.
package main
