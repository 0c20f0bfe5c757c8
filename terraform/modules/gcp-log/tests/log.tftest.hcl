mock_provider "google" {
  source          = "../../check/mocks/google"
  override_during = plan
}

variables {
  project      = "example-log"
  name         = "releases"
  location     = "europe-west3"
  bucket       = "example-log"
  guard_bucket = "example-guard"
}

run "tiles_are_public_and_the_guard_is_not" {
  command = plan

  assert {
    condition     = google_storage_bucket.this["guard"].public_access_prevention == "enforced"
    error_message = "The guard can be made public."
  }

  assert {
    condition     = google_storage_managed_folder_iam_member.everybody_reads_tiles[0].managed_folder == "tile/"
    error_message = "More than tiles is public."
  }

  assert {
    condition     = google_project_iam_custom_role.delete.role_id == "releases_delete"
    error_message = "A role's name has no dashes."
  }
}

run "or_nothing_is" {
  command = plan

  variables {
    public_tiles = false
  }

  assert {
    condition     = google_storage_bucket.this["log"].public_access_prevention == "enforced" && length(google_storage_managed_folder.tiles) == 0
    error_message = "Something is public."
  }
}

run "the_sequencer_replaces_no_tile" {
  command = plan

  assert {
    condition     = !strcontains(google_storage_bucket_iam_member.sequencer_replaces.condition[0].expression, "tile")
    error_message = "It may replace tiles."
  }
}

run "the_guard_must_be_elsewhere" {
  command = plan

  variables {
    guard_bucket = "example-log"
  }

  expect_failures = [var.guard_bucket]
}

run "google_keeps_for_a_week_or_not_at_all" {
  command = plan

  variables {
    soft_delete_seconds = 3600
  }

  expect_failures = [var.soft_delete_seconds]
}
