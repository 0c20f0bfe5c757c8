output "job_name" {
  description = "The job, for `gcloud run jobs execute`."
  value       = google_cloud_run_v2_job.this.name
}

output "kiln_args" {
  description = "What `kiln` is started with."
  value       = local.kiln_args
}
