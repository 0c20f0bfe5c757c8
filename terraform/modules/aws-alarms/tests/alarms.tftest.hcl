mock_provider "aws" {
  source          = "../../check/mocks/aws"
  override_during = plan
}

variables {
  name                = "releases"
  emails              = ["log@example.com"]
  node_count          = 2
  log_group_name      = "/kiln/releases"
  balancer_arn_suffix = "app/releases/0123456789abcdef"
}

run "each_is_said_to_somebody" {
  command = plan

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.kiln : length(alarm.alarm_actions) == 1])
    error_message = "An alarm is said to nobody."
  }

  assert {
    condition     = aws_sns_topic_subscription.email["log@example.com"].protocol == "email"
    error_message = "Nobody is told."
  }
}

run "silence_is_no_good_news" {
  command = plan

  assert {
    condition = alltrue([
      for key in ["not-ready", "node-silent"] : aws_cloudwatch_metric_alarm.kiln[key].treat_missing_data == "breaching"
    ])
    error_message = "A log that says nothing is taken for a good one."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.kiln["node-silent"].threshold == 8
    error_message = "Two nodes speak ten times in five minutes; one that is gone has to be missed."
  }
}

run "one_address_of_email_is_one" {
  command = plan

  variables {
    emails = ["nobody"]
  }

  expect_failures = [var.emails]
}
