# One log, a machine that writes it and others that stand by, in private subnets; host names of its own.

module "log" {
  source = "../../modules/aws-log"

  name                         = var.name
  bucket                       = var.bucket
  guard_bucket                 = var.guard_bucket
  prefix                       = "v1"
  cloudfront_distribution_arns = [module.cdn.distribution_arn]
}

module "cdn" {
  source = "../../modules/aws-cdn"

  name                        = var.name
  bucket_regional_domain_name = module.log.bucket_regional_domain_name
  prefix                      = "v1"
  domain_names                = [var.read_host]
  certificate_arn             = var.read_certificate_arn
}

module "sequencer" {
  source = "../../modules/aws-sequencer"

  name      = var.name
  origin    = var.origin
  image     = var.image
  store     = module.log.store
  guard     = module.log.guard
  role_name = module.log.sequencer_role_name
  read_url  = module.cdn.url
  public_ip = false

  nodes = {
    for name, subnet_id in var.node_subnet_ids : name => {
      subnet_id = subnet_id
      image     = contains(var.upgraded, name) ? var.next_image : null
    }
  }

  vpc_id              = var.vpc_id
  balancer_subnet_ids = var.balancer_subnet_ids
  submission_url      = "https://${var.submission_host}"
  certificate_arn     = var.submission_certificate_arn
  submitters          = var.submitters
}

module "alarms" {
  source = "../../modules/aws-alarms"

  name                = var.name
  emails              = var.emails
  node_count          = module.sequencer.node_count
  log_group_name      = module.sequencer.log_group_name
  balancer_arn_suffix = module.sequencer.balancer_arn_suffix
}

module "gc" {
  source = "../../modules/aws-gc"

  name            = var.name
  image           = var.image
  store           = module.log.store
  vkey            = var.vkey
  role_arn        = module.log.gc_role_arn
  vpc_id          = var.vpc_id
  subnet_ids      = values(var.node_subnet_ids)
  public_ip       = false
  alarm_topic_arn = module.alarms.topic_arn
}

resource "aws_route53_record" "submissions" {
  zone_id = var.zone_id
  name    = var.submission_host
  type    = "A"

  alias {
    name                   = module.sequencer.balancer_dns_name
    zone_id                = module.sequencer.balancer_zone_id
    evaluate_target_health = false
  }
}

resource "aws_route53_record" "reads" {
  for_each = toset(["A", "AAAA"])

  zone_id = var.zone_id
  name    = var.read_host
  type    = each.value

  alias {
    name                   = module.cdn.domain_name
    zone_id                = module.cdn.hosted_zone_id
    evaluate_target_health = false
  }
}
