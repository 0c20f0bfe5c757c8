mock_provider "google" {
  source          = "../../check/mocks/google"
  override_during = plan
}

variables {
  project               = "example-log"
  name                  = "releases"
  region                = "europe-west3"
  image                 = "europe-west3-docker.pkg.dev/example-log/kiln/kiln@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  store                 = "gs://example-log"
  vkey                  = "log.example.com/releases+a42c1ca4+Aazc/UR45YDKCHEGGzblaG49dWZFHd65Qb/HORO1Ig+w"
  service_account_email = "releases-gc@example-log.iam.gserviceaccount.com"
}

run "gc_as_itself" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_job.this.template[0].template[0].service_account == var.service_account_email
    error_message = "gc is somebody else."
  }

  assert {
    condition     = join(" ", google_cloud_run_v2_job.this.template[0].template[0].containers[0].args) == "gc gs://example-log --vkey ${var.vkey} --log-format json --json"
    error_message = join(" ", output.kiln_args)
  }
}

run "a_schedule_has_five_fields" {
  command = plan

  variables {
    schedule = "rate(1 hour)"
  }

  expect_failures = [var.schedule]
}
