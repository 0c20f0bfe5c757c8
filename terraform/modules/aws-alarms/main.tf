# What somebody has to look at. docs/operations/ says which of Kiln's metrics say what; nodes hand them to CloudWatch.

data "aws_caller_identity" "current" {}

locals {
  # Kiln's own, from each node each minute.
  kiln = {
    not-ready = {
      description = "No node has taken entries for two minutes: the store fails, an index catches up, or the log stopped with an alarm. /readyz says which."
      metric      = "Ready"
      statistic   = "Maximum"
      minutes     = 1
      periods     = 2
      comparison  = "LessThanThreshold"
      threshold   = 1
      missing     = "breaching"
    }
    node-silent = {
      description = "A node says nothing: it is gone, or cannot reach CloudWatch. With others standing by the log goes on."
      metric      = "Ready"
      statistic   = "SampleCount"
      minutes     = 5
      periods     = 1
      comparison  = "LessThanThreshold"
      threshold   = 5 * var.node_count - 2
      missing     = "breaching"
    }
    rounds-failed = {
      description = "Rounds did not get published. Their submitters saw 503."
      metric      = "FailedRounds"
      statistic   = "Sum"
      minutes     = 5
      periods     = 1
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      missing     = "notBreaching"
    }
    pool-full = {
      description = "Entries come faster than they are logged."
      metric      = "PoolEntries"
      statistic   = "Maximum"
      minutes     = 1
      periods     = 3
      comparison  = "GreaterThanThreshold"
      threshold   = var.pool_entries
      missing     = "notBreaching"
    }
    cache-full = {
      description = "The volume of the dedup index is nearly full: make cache_gib larger. It takes twice its size while it is merged."
      metric      = "CacheUsedPercent"
      statistic   = "Maximum"
      minutes     = 5
      periods     = 3
      comparison  = "GreaterThanThreshold"
      threshold   = 70
      missing     = "notBreaching"
    }
  }
}

# Not encrypted with `alias/aws/sns`: alarms and events could not use that key. No secret is in what they say.
resource "aws_sns_topic" "this" {
  name = "${var.name}-alarms"
  tags = var.tags
}

resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsAndEventsOfThisAccount"
      Effect    = "Allow"
      Principal = { Service = ["cloudwatch.amazonaws.com", "events.amazonaws.com"] }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.this.arn
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.emails)

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_metric_alarm" "kiln" {
  for_each = local.kiln

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = "Kiln"
  metric_name         = each.value.metric
  dimensions          = { Log = var.name }
  statistic           = each.value.statistic
  period              = 60 * each.value.minutes
  evaluation_periods  = each.value.periods
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
  tags                = var.tags
}

# What Kiln calls an error is one: an alarm of the log, or a full tile that is gone.
resource "aws_cloudwatch_log_metric_filter" "errors" {
  name           = "${var.name}-errors"
  log_group_name = var.log_group_name
  pattern        = "{ $.level = \"ERROR\" }"

  metric_transformation {
    namespace = "Kiln/Messages"
    name      = "${var.name}-errors"
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "${var.name}-errors"
  alarm_description   = "Kiln reported an error: read its messages in ${var.log_group_name} before anything else is done."
  namespace           = aws_cloudwatch_log_metric_filter.errors.metric_transformation[0].namespace
  metric_name         = aws_cloudwatch_log_metric_filter.errors.metric_transformation[0].name
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  tags                = var.tags
}

# What submitters see.
resource "aws_cloudwatch_metric_alarm" "refused" {
  alarm_name          = "${var.name}-refused"
  alarm_description   = "Submitters have had 5xx for ten minutes, from the nodes."
  namespace           = "AWS/ApplicationELB"
  metric_name         = "HTTPCode_Target_5XX_Count"
  dimensions          = { LoadBalancer = var.balancer_arn_suffix }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "unreachable" {
  alarm_name          = "${var.name}-unreachable"
  alarm_description   = "The balancer itself answered 5xx: no node took the request."
  namespace           = "AWS/ApplicationELB"
  metric_name         = "HTTPCode_ELB_5XX_Count"
  dimensions          = { LoadBalancer = var.balancer_arn_suffix }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  tags                = var.tags
}
