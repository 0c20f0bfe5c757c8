# One address for readers and submitters. What goes where:
#
#   /tile/*                  the bucket, by the CDN: it needs no node
#   /checkpoint, /log.json   any node that lives, by the CDN. A bucket of Google's cannot show these two and keep
#                            private/ to itself: see gcp-log/access.tf
#   everything else          the node that writes, for submitters alone

resource "google_compute_global_address" "this" {
  project = var.project
  name    = var.name
}

resource "google_compute_backend_bucket" "tiles" {
  project     = var.project
  name        = "${var.name}-tiles"
  bucket_name = var.bucket
  enable_cdn  = true

  # Kiln says itself how long who may keep what. That a tile is missing is not kept: it may be there a second later.
  cdn_policy {
    cache_mode       = "USE_ORIGIN_HEADERS"
    negative_caching = false
  }
}

resource "google_compute_backend_service" "reads" {
  project               = var.project
  name                  = "${var.name}-reads"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTP"
  port_name             = "kiln"
  timeout_sec           = 30
  enable_cdn            = true
  health_checks         = [google_compute_health_check.lives.id]

  # Kiln tells caches to ask each time. With one that asks each second a thousand readers are one.
  cdn_policy {
    cache_mode        = "FORCE_CACHE_ALL"
    default_ttl       = 1
    client_ttl        = 1
    negative_caching  = false
    serve_while_stale = var.stale_seconds

    cache_key_policy {
      include_host         = false
      include_protocol     = false
      include_query_string = false
    }
  }

  dynamic "backend" {
    for_each = google_compute_instance_group.node

    content {
      group           = backend.value.self_link
      balancing_mode  = "UTILIZATION"
      capacity_scaler = 1
    }
  }
}

resource "google_compute_backend_service" "submissions" {
  project               = var.project
  name                  = "${var.name}-submissions"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTP"
  port_name             = "kiln"
  timeout_sec           = 60
  enable_cdn            = false
  security_policy       = google_compute_security_policy.submitters.id
  health_checks         = [google_compute_health_check.writes.id]
  # A round, and some.
  connection_draining_timeout_sec = 10

  dynamic "backend" {
    for_each = google_compute_instance_group.node

    content {
      group           = backend.value.self_link
      balancing_mode  = "UTILIZATION"
      capacity_scaler = 1
    }
  }
}

# One that stands by says no here.
resource "google_compute_health_check" "writes" {
  project             = var.project
  name                = "${var.name}-writes"
  check_interval_sec  = 5
  timeout_sec         = 3
  healthy_threshold   = 2
  unhealthy_threshold = 2

  http_health_check {
    port         = local.port
    request_path = "/readyz"
  }
}

# One that stands by, or stopped with an alarm, serves reads.
resource "google_compute_health_check" "lives" {
  project             = var.project
  name                = "${var.name}-lives"
  check_interval_sec  = 5
  timeout_sec         = 3
  healthy_threshold   = 2
  unhealthy_threshold = 2

  http_health_check {
    port         = local.port
    request_path = "/healthz"
  }
}

resource "google_compute_security_policy" "submitters" {
  project     = var.project
  name        = "${var.name}-submitters"
  description = "Who may submit entries to ${var.origin}, and how fast"

  rule {
    priority    = 1000
    description = "Submitters"
    action      = "throttle"

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = var.submitters
      }
    }

    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"

      rate_limit_threshold {
        count        = var.requests_per_minute
        interval_sec = 60
      }
    }
  }

  rule {
    priority    = 2147483647
    description = "Nobody else"
    action      = "deny(403)"

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}

resource "google_compute_url_map" "this" {
  project         = var.project
  name            = var.name
  default_service = google_compute_backend_service.submissions.id

  host_rule {
    hosts        = [var.host]
    path_matcher = "log"
  }

  path_matcher {
    name            = "log"
    default_service = google_compute_backend_service.submissions.id

    path_rule {
      paths   = ["/tile/*"]
      service = google_compute_backend_bucket.tiles.id
    }

    path_rule {
      paths   = ["/checkpoint", "/log.json"]
      service = google_compute_backend_service.reads.id
    }
  }
}

resource "google_compute_managed_ssl_certificate" "this" {
  project = var.project
  name    = replace(var.host, ".", "-")

  managed {
    domains = [var.host]
  }
}

resource "google_compute_ssl_policy" "this" {
  project         = var.project
  name            = var.name
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_target_https_proxy" "this" {
  project          = var.project
  name             = var.name
  url_map          = google_compute_url_map.this.id
  ssl_certificates = [google_compute_managed_ssl_certificate.this.id]
  ssl_policy       = google_compute_ssl_policy.this.id
}

resource "google_compute_global_forwarding_rule" "this" {
  project               = var.project
  name                  = var.name
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.this.id
  ip_protocol           = "TCP"
  port_range            = "443"
  target                = google_compute_target_https_proxy.this.id
}
