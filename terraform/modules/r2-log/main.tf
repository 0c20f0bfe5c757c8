# Two buckets, who may write to them, and what readers may see.

locals {
  buckets = {
    log   = var.bucket
    guard = var.guard_bucket
  }
}

resource "cloudflare_r2_bucket" "this" {
  for_each = local.buckets

  account_id    = var.account_id
  name          = each.value
  location      = var.location
  jurisdiction  = var.jurisdiction
  storage_class = "Standard"

  # A log is for ever. To end one, take this line out first.
  lifecycle {
    prevent_destroy = true
  }
}

# The other way into a bucket, which shows all of it.
resource "cloudflare_r2_managed_domain" "this" {
  for_each = local.buckets

  account_id   = var.account_id
  bucket_name  = cloudflare_r2_bucket.this[each.key].name
  jurisdiction = var.jurisdiction
  enabled      = false
}

# --- Readers ---

locals {
  # A domain of a bucket shows all that is in it, the head with entries that are not published included. So what is for
  # readers is named, and all else is refused. An entry of this list may be longer than the name it stands for, never
  # shorter: R2 looks a name up as it is, and knows no `..`.
  readers_see = join(" or ", [
    "http.request.uri.path eq \"/checkpoint\"",
    "http.request.uri.path eq \"/log.json\"",
    "starts_with(http.request.uri.path, \"/tile/\")",
  ])

  here = "http.host eq \"${var.host}\""

  firewall_rule = {
    ref         = "${var.name}_readers"
    description = "${var.name}: what is not for readers"
    expression  = "(${local.here} and not (${local.readers_see}))"
    action      = "block"
    enabled     = true
  }

  cache_rules = [
    {
      ref         = "${var.name}_tiles"
      description = "${var.name}: tiles never change"
      expression  = "(${local.here} and starts_with(http.request.uri.path, \"/tile/\"))"
      action      = "set_cache_settings"
      enabled     = true
      action_parameters = {
        cache = true
        # A tile that was asked for too early is there a second later.
        edge_ttl = {
          mode            = "override_origin"
          default         = 31536000
          status_code_ttl = [{ status_code_range = { from = 400, to = 599 }, value = 0 }]
        }
        browser_ttl = { mode = "respect_origin" }
        cache_key   = { custom_key = { query_string = { exclude = { all = true } } } }
      }
    },
    {
      ref               = "${var.name}_fresh"
      description       = "${var.name}: the checkpoint is a new one each second"
      expression        = "(${local.here} and not starts_with(http.request.uri.path, \"/tile/\"))"
      action            = "set_cache_settings"
      enabled           = true
      action_parameters = { cache = false }
    },
  ]

  # Whoever has the page of a log in a browser verifies it there, from any site.
  header_rule = {
    ref         = "${var.name}_headers"
    description = "${var.name}: public, never guessed at"
    expression  = "(${local.here})"
    action      = "rewrite"
    enabled     = true
    action_parameters = {
      headers = {
        "Access-Control-Allow-Origin"   = { operation = "set", value = "*" }
        "Access-Control-Expose-Headers" = { operation = "set", value = "ETag" }
        "X-Content-Type-Options"        = { operation = "set", value = "nosniff" }
      }
    }
  }
}

resource "cloudflare_ruleset" "firewall" {
  count = var.own_zone_rules ? 1 : 0

  zone_id     = var.zone_id
  name        = "${var.name}-firewall"
  description = "What readers of the log may see"
  kind        = "zone"
  phase       = "http_request_firewall_custom"
  rules       = [local.firewall_rule]
}

resource "cloudflare_ruleset" "cache" {
  count = var.own_zone_rules ? 1 : 0

  zone_id     = var.zone_id
  name        = "${var.name}-cache"
  description = "How long what of the log is kept"
  kind        = "zone"
  phase       = "http_request_cache_settings"
  rules       = local.cache_rules
}

resource "cloudflare_ruleset" "headers" {
  count = var.own_zone_rules ? 1 : 0

  zone_id     = var.zone_id
  name        = "${var.name}-headers"
  description = "What browsers are told of the log"
  kind        = "zone"
  phase       = "http_response_headers_transform"
  rules       = [local.header_rule]
}

# The gate first, then the door.
resource "cloudflare_r2_custom_domain" "this" {
  account_id   = var.account_id
  bucket_name  = cloudflare_r2_bucket.this["log"].name
  jurisdiction = var.jurisdiction
  zone_id      = var.zone_id
  domain       = var.host
  enabled      = true
  min_tls      = "1.2"

  depends_on = [cloudflare_ruleset.firewall, cloudflare_ruleset.cache, cloudflare_ruleset.headers]
}

# --- Writers ---

# R2 has two rights to a bucket's objects, to read and to write, and to write is to delete. So a token cannot be kept
# from deleting tiles here, as a role can in S3; gc has one of its own for its own sake: it does not reach the guard.
data "cloudflare_account_api_token_permission_groups_list" "write" {
  count = var.write_permission_group_id == null ? 1 : 0

  account_id = var.account_id
  name       = "Workers%20R2%20Storage%20Bucket%20Item%20Write"

  lifecycle {
    postcondition {
      condition     = length(self.result) == 1
      error_message = "The right to write into buckets is not found by its name: give its id as write_permission_group_id."
    }
  }
}

locals {
  write = coalesce(var.write_permission_group_id, one(data.cloudflare_account_api_token_permission_groups_list.write[*].result[0].id))

  resources = { for key, name in local.buckets : key => "com.cloudflare.edge.r2.bucket.${var.account_id}_${var.jurisdiction}_${name}" }

  tokens = {
    sequencer = [local.resources.log, local.resources.guard]
    gc        = [local.resources.log]
  }
}

resource "cloudflare_account_token" "this" {
  for_each = local.tokens

  account_id = var.account_id
  name       = "${var.name}-${each.key}"

  policies = [{
    effect            = "allow"
    permission_groups = [{ id = local.write }]
    resources         = jsonencode({ for resource in each.value : resource => "*" })
  }]

  depends_on = [cloudflare_r2_bucket.this]
}
