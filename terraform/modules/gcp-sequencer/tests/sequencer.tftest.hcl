mock_provider "google" {
  source          = "../../check/mocks/google"
  override_during = plan
}

variables {
  project               = "example-log"
  name                  = "releases"
  origin                = "log.example.com/releases"
  image                 = "europe-west3-docker.pkg.dev/example-log/kiln/kiln@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  store                 = "gs://example-log"
  guard                 = "gs://example-guard"
  bucket                = "example-log"
  service_account_email = "releases-sequencer@example-log.iam.gserviceaccount.com"
  host                  = "log.example.com"
  nodes                 = { a = { zone = "europe-west3-a" } }
  network               = "default"
  subnetwork            = "default"
  submitters            = ["198.51.100.0/24"]
}

run "one_node" {
  command = plan

  assert {
    condition     = !contains(output.kiln_args, "--standby")
    error_message = "A node that is alone renews a lease for nobody."
  }

  assert {
    condition     = strcontains(google_compute_instance.node["a"].metadata["user-data"], "configure-docker --registries=europe-west3-docker.pkg.dev")
    error_message = "The node does not sign in where its image is."
  }

  assert {
    condition     = google_artifact_registry_repository_iam_member.image["europe-west3/example-log/kiln"].role == "roles/artifactregistry.reader"
    error_message = "The node may not pull its image."
  }

  assert {
    condition     = output.url == "https://log.example.com"
    error_message = "Its URL is ${output.url}"
  }
}

run "two_nodes_and_an_image_that_is_rolled_out" {
  command = plan

  variables {
    nodes = {
      a = { zone = "europe-west3-a" }
      b = {
        zone  = "europe-west3-b"
        image = "ghcr.io/example/kiln@sha256:1111111111111111111111111111111111111111111111111111111111111111"
      }
    }
  }

  assert {
    condition     = contains(output.kiln_args, "--standby")
    error_message = "Nodes do not stand by."
  }

  assert {
    condition     = strcontains(google_compute_instance.node["b"].metadata["user-data"], "sha256:1111") && !strcontains(google_compute_instance.node["a"].metadata["user-data"], "sha256:1111")
    error_message = "The image is rolled out to another node."
  }

  assert {
    condition     = !strcontains(google_compute_instance.node["b"].metadata["user-data"], "docker-credential-gcr")
    error_message = "A registry elsewhere needs no sign-in here."
  }
}

run "submissions_go_by_readyz_and_reads_by_healthz" {
  command = plan

  assert {
    condition     = google_compute_health_check.writes.http_health_check[0].request_path == "/readyz" && google_compute_health_check.lives.http_health_check[0].request_path == "/healthz"
    error_message = "Submissions reach those that stand by, or readers do not."
  }
}

run "google_takes_one_write_a_second" {
  command = plan

  variables {
    interval = "250ms"
  }

  expect_failures = [var.interval]
}

run "everybody_has_to_be_said" {
  command = plan

  variables {
    submitters = ["0.0.0.0/0"]
  }

  expect_failures = [var.submitters]
}

run "the_writer_deletes_nothing" {
  command = plan

  variables {
    extra_args = ["--gc"]
  }

  expect_failures = [var.extra_args]
}
