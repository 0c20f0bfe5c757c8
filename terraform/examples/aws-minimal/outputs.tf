output "put_key" {
  description = "Run it once, with the key that `kiln key new` wrote to log.key."
  value       = module.sequencer.put_key
}

output "read_url" {
  description = "Where readers find the log."
  value       = module.cdn.url
}

output "submission_host_points_at" {
  description = "What the record of `submission_host` is to point at (CNAME)."
  value       = module.sequencer.balancer_dns_name
}
