-- AlterTable
ALTER TABLE "components" ADD COLUMN "definition" JSONB NOT NULL DEFAULT '{}';
