output "put_key" {
  description = "The command that hands over the log's key, once. It stays out of terraform's state."
  value       = "gcloud secrets versions add ${google_secret_manager_secret.key.secret_id} --project ${var.project} --data-file log.key"
}

output "address" {
  description = "What the record of `host` is to point at."
  value       = google_compute_global_address.this.address
}

output "url" {
  description = "Where readers and submitters find the log."
  value       = local.url
}

output "instance_names" {
  description = "The machines, by the names of `nodes`."
  value       = { for name, instance in google_compute_instance.node : name => instance.name }
}

output "kiln_args" {
  description = "What `kiln` is started with."
  value       = local.kiln_args
}
