# The buckets and what readers see of them. `kiln serve` runs on a machine of your own, wherever that is.

module "log" {
  source = "../../modules/r2-log"

  account_id   = var.account_id
  zone_id      = var.zone_id
  name         = var.name
  bucket       = var.bucket
  guard_bucket = var.guard_bucket
  host         = var.host
}
