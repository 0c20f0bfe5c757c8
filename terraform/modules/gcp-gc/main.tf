# `kiln gc` on a schedule, as a job of its own under a service account of its own. The sequencer deletes no tile, and
# this deletes nothing but partial tiles that full ones have superseded.

locals {
  kiln_args = ["gc", var.store, "--vkey", var.vkey, "--log-format", "json", "--json"]
}

resource "google_cloud_run_v2_job" "this" {
  project             = var.project
  name                = "${var.name}-gc"
  location            = var.region
  deletion_protection = false

  template {
    template {
      service_account = var.service_account_email
      # The next run is soon enough.
      max_retries = 0
      timeout     = "3600s"

      containers {
        image   = var.image
        command = ["kiln"]
        args    = local.kiln_args

        resources {
          limits = {
            cpu    = "1"
            memory = "512Mi"
          }
        }
      }
    }
  }
}

# --- When, and who may start it: somebody who may do nothing else. ---

resource "google_service_account" "scheduler" {
  project      = var.project
  account_id   = "${var.name}-gc-run"
  display_name = "Starts gc of ${var.store}"
}

resource "google_cloud_run_v2_job_iam_member" "scheduler" {
  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_job.this.name
  role     = "roles/run.invoker"
  member   = google_service_account.scheduler.member
}

resource "google_cloud_scheduler_job" "this" {
  project     = var.project
  region      = var.region
  name        = "${var.name}-gc"
  description = "Removes superseded partial tiles of ${var.store}"
  schedule    = var.schedule
  time_zone   = "Etc/UTC"

  retry_config {
    retry_count = 3
  }

  http_target {
    http_method = "POST"
    uri         = "https://run.googleapis.com/v2/projects/${var.project}/locations/${var.region}/jobs/${google_cloud_run_v2_job.this.name}:run"

    oauth_token {
      service_account_email = google_service_account.scheduler.email
      scope                 = "https://www.googleapis.com/auth/cloud-platform"
    }
  }

  depends_on = [google_cloud_run_v2_job_iam_member.scheduler]
}
