output "store" {
  description = "The log's STORE, for `kiln serve` and `kiln gc`."
  value       = "gs://${var.bucket}"

  depends_on = [
    google_storage_bucket_iam_member.sequencer_reads,
    google_storage_bucket_iam_member.sequencer_creates,
    google_storage_bucket_iam_member.sequencer_replaces,
  ]
}

output "guard" {
  description = "Where the guard stands, for `kiln serve --guard`."
  value       = "gs://${var.guard_bucket}"

  depends_on = [google_storage_bucket_iam_member.sequencer_replaces_the_guard]
}

output "bucket" {
  description = "The log's bucket."
  value       = google_storage_bucket.this["log"].name
}

output "sequencer_email" {
  description = "The service account of the sequencer."
  value       = google_service_account.sequencer.email
}

output "gc_email" {
  description = "The service account of `kiln gc`."
  value       = google_service_account.gc.email

  depends_on = [google_storage_bucket_iam_member.gc_reads, google_storage_bucket_iam_member.gc_deletes]
}
