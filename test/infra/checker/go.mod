module activity/checker

go 1.24.0

require (
	github.com/moby/buildkit v0.25.1
	github.com/prometheus/prometheus v0.307.3
)
