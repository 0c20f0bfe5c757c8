output "store" {
  description = "The log's STORE, for `kiln serve` and `kiln gc`."
  value       = "s3://${cloudflare_r2_bucket.this["log"].name}"
}

output "guard" {
  description = "Where the guard stands, for `kiln serve --guard`."
  value       = "s3://${cloudflare_r2_bucket.this["guard"].name}"
}

output "endpoint_url" {
  description = "AWS_ENDPOINT_URL, with AWS_REGION=auto."
  value       = "https://${var.account_id}${var.jurisdiction == "default" ? "" : ".${var.jurisdiction}"}.r2.cloudflarestorage.com"
}

output "read_url" {
  description = "Where readers find the log."
  value       = "https://${cloudflare_r2_custom_domain.this.domain}"
}

output "credentials" {
  description = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of `sequencer` and of `gc`. They are in terraform's state: keep that secret."
  sensitive   = true

  # https://developers.cloudflare.com/r2/api/tokens/: the id of the token, and the SHA-256 of its value.
  value = {
    for key, token in cloudflare_account_token.this : key => {
      access_key_id     = token.id
      secret_access_key = sha256(token.value)
    }
  }
}

output "firewall_rule" {
  description = "The rule that keeps all but what is for readers from them, for `cloudflare_ruleset`."
  value       = local.firewall_rule
}

output "cache_rules" {
  description = "How long what is kept, for `cloudflare_ruleset`."
  value       = local.cache_rules
}

output "header_rule" {
  description = "What browsers are told, for `cloudflare_ruleset`."
  value       = local.header_rule
}
