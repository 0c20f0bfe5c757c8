# Two buckets: the log's, and one for its guard, which must not go back in time with it. Who may do what to them is in
# access.tf, all on one page.

locals {
  buckets = {
    log   = var.bucket
    guard = var.guard_bucket
  }
}

resource "google_storage_bucket" "this" {
  for_each = local.buckets

  project                     = var.project
  name                        = each.value
  location                    = var.location
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = each.key == "log" && var.public_tiles ? "inherited" : "enforced"
  force_destroy               = false
  labels                      = var.labels

  soft_delete_policy {
    retention_duration_seconds = var.soft_delete_seconds
  }

  # Whoever has the page of a log in a browser verifies it there, from any site.
  cors {
    origin          = ["*"]
    method          = ["GET", "HEAD"]
    response_header = ["ETag"]
    max_age_seconds = 86400
  }

  lifecycle_rule {
    condition {
      age = 1
    }

    action {
      type = "AbortIncompleteMultipartUpload"
    }
  }

  # A log is for ever. To end one, take this line out first.
  lifecycle {
    prevent_destroy = true
  }
}
