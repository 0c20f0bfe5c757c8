# What somebody has to look at.

# As readers see it.
resource "google_monitoring_uptime_check_config" "checkpoint" {
  project      = var.project
  display_name = "${var.name}: the checkpoint"
  timeout      = "10s"
  period       = "60s"

  http_check {
    path           = "/checkpoint"
    port           = 443
    use_ssl        = true
    validate_ssl   = true
    request_method = "GET"
  }

  content_matchers {
    content = var.origin
    matcher = "CONTAINS_STRING"
  }

  monitored_resource {
    type = "uptime_url"

    labels = {
      project_id = var.project
      host       = var.host
    }
  }
}

resource "google_monitoring_alert_policy" "checkpoint" {
  project               = var.project
  display_name          = "${var.name}: readers get no checkpoint"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "The uptime check fails in two places or more"

    condition_threshold {
      filter          = "metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\" AND resource.type=\"uptime_url\" AND metric.labels.check_id=\"${google_monitoring_uptime_check_config.checkpoint.uptime_check_id}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "120s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
        group_by_fields      = ["resource.label.host"]
      }
    }
  }
}

# What Kiln calls an error is one: an alarm of the log, or a full tile that is gone. It comes as a JSON object in a line.
resource "google_monitoring_alert_policy" "errors" {
  project               = var.project
  display_name          = "${var.name}: Kiln reported an error"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "A message of level ERROR"

    condition_matched_log {
      filter = "logName=\"projects/${var.project}/logs/gcplogs-docker-driver\" AND jsonPayload.instance.name=~\"^${var.name}-\" AND jsonPayload.message=~\"\\\"level\\\":\\\"ERROR\\\"\""
    }
  }

  alert_strategy {
    notification_rate_limit {
      period = "300s"
    }
  }
}

# Submitters get 5xx: no node is ready, or the store fails.
resource "google_monitoring_alert_policy" "refused" {
  project               = var.project
  display_name          = "${var.name}: submitters are refused"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "5xx for ten minutes"

    condition_threshold {
      filter          = "metric.type=\"loadbalancing.googleapis.com/https/request_count\" AND resource.type=\"https_lb_rule\" AND resource.labels.url_map_name=\"${google_compute_url_map.this.name}\" AND metric.labels.response_code_class=500"
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "600s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
}
