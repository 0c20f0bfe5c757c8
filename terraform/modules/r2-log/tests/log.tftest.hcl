mock_provider "cloudflare" {
  override_during = plan
}

variables {
  account_id   = "0123456789abcdef0123456789abcdef"
  zone_id      = "fedcba9876543210fedcba9876543210"
  name         = "releases"
  bucket       = "releases-log"
  guard_bucket = "releases-guard"
  host         = "log.example.com"

  write_permission_group_id = "00000000000000000000000000000000"
}

run "readers_see_what_is_named" {
  command = plan

  assert {
    condition     = one(cloudflare_ruleset.firewall[0].rules).action == "block"
    error_message = "Everybody reads private/."
  }

  assert {
    condition     = alltrue([for domain in cloudflare_r2_managed_domain.this : !domain.enabled])
    error_message = "There is another way into a bucket."
  }

  assert {
    condition     = output.endpoint_url == "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com"
    error_message = output.endpoint_url
  }
}

run "tokens_reach_their_own_buckets" {
  command = plan

  assert {
    condition     = keys(jsondecode(one(cloudflare_account_token.this["gc"].policies).resources)) == ["com.cloudflare.edge.r2.bucket.0123456789abcdef0123456789abcdef_default_releases-log"]
    error_message = "gc reaches the guard."
  }
}

run "a_zone_with_rules_of_its_own" {
  command = plan

  variables {
    own_zone_rules = false
  }

  assert {
    condition     = length(cloudflare_ruleset.firewall) == 0 && strcontains(output.firewall_rule.expression, "/checkpoint")
    error_message = "The zone's rules are replaced, or its rule cannot be taken."
  }
}

run "in_the_union" {
  command = plan

  variables {
    jurisdiction = "eu"
  }

  assert {
    condition     = output.endpoint_url == "https://0123456789abcdef0123456789abcdef.eu.r2.cloudflarestorage.com"
    error_message = output.endpoint_url
  }
}

run "the_guard_must_be_elsewhere" {
  command = plan

  variables {
    guard_bucket = "releases-log"
  }

  expect_failures = [var.guard_bucket]
}
