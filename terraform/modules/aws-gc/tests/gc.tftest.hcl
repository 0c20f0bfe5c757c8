mock_provider "aws" {
  source          = "../../check/mocks/aws"
  override_during = plan
}

variables {
  name            = "releases"
  image           = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/kiln@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  store           = "s3://example-log/v1"
  vkey            = "log.example.com/releases+a42c1ca4+Aazc/UR45YDKCHEGGzblaG49dWZFHd65Qb/HORO1Ig+w"
  role_arn        = "arn:aws:iam::123456789012:role/releases-gc"
  vpc_id          = "vpc-1"
  subnet_ids      = ["subnet-a"]
  alarm_topic_arn = "arn:aws:sns:eu-central-1:123456789012:releases-alarms"
}

run "gc_under_its_own_role" {
  command = plan

  assert {
    condition     = aws_ecs_task_definition.this.task_role_arn == var.role_arn
    error_message = "gc has another role."
  }

  assert {
    condition     = join(" ", output.kiln_args) == "gc s3://example-log/v1 --vkey ${var.vkey} --log-format json --json"
    error_message = join(" ", output.kiln_args)
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.failed) == 1
    error_message = "Nobody hears that it failed."
  }
}

run "without_alarms" {
  command = plan

  variables {
    alarms          = false
    alarm_topic_arn = null
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.failed) + length(aws_cloudwatch_metric_alarm.not_started) == 0
    error_message = "There are alarms."
  }
}

run "alarms_need_a_place" {
  command = plan

  variables {
    alarm_topic_arn = null
  }

  expect_failures = [var.alarms]
}

run "a_vkey_is_no_secret_key" {
  command = plan

  variables {
    vkey = "PRIVATE+KEY+log.example.com/releases+a42c1ca4+AAAA"
  }

  expect_failures = [var.vkey]
}
