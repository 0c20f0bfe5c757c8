output "put_key" {
  description = "Run it once, with the key that `kiln key new` wrote to log.key."
  value       = module.sequencer.put_key
}

output "host_points_at" {
  description = "What the record of `host` is to point at (A)."
  value       = module.sequencer.address
}

output "url" {
  description = "Where readers and submitters find the log."
  value       = module.sequencer.url
}
